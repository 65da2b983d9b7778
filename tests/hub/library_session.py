"""Pushes models and data sets to a hub with transformers and datasets, and loads them by name."""

import json
import sys
from pathlib import Path

import torch
from datasets import load_dataset
from huggingface_hub import HfApi, get_safetensors_metadata
from transformers import AutoModelForVideoClassification, pipeline

import muybridge

folder, clip = Path(sys.argv[1]), sys.argv[2]


def report(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


architecture = muybridge.ARCHITECTURES["c3d"]
torch.manual_seed(0)
model = architecture.task_model(architecture.tiny_config()).eval()
size = {"height": model.config.image_size, "width": model.config.image_size}
model.push_to_hub("lab/sharded", private=True, max_shard_size="100KB")
architecture.processor(num_frames=model.config.num_frames, size=size, crop_size=size).push_to_hub("lab/sharded")
files = HfApi().list_repo_files("lab/sharded")
loaded = AutoModelForVideoClassification.from_pretrained("lab/sharded")
same = all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
labels = pipeline("video-classification", model="lab/sharded")(clip, top_k=1)
report(step="model", num_shards=sum(name.endswith(".safetensors") for name in files), same=same, labels=len(labels))

info = HfApi().model_info("lab/sharded")
metadata = get_safetensors_metadata("lab/sharded")
counts = [info.safetensors.total, sum(metadata.parameter_count.values()), sum(p.numel() for p in model.parameters())]
report(step="info", counts=counts, architecture=info.config["model_type"], task=info.pipeline_tag)

HfApi().create_repo("lab/tables", repo_type="dataset")
HfApi().upload_folder(repo_id="lab/tables", repo_type="dataset", folder_path=folder)
splits = load_dataset("lab/tables")
streamed = list(load_dataset("lab/tables", split="train", streaming=True))
report(step="data set", splits={name: len(split) for name, split in splits.items()}, streamed=streamed[:2])
splits["train"].push_to_hub("lab/pushed")
report(step="pushed", rows=load_dataset("lab/pushed", split="train")[:2])
