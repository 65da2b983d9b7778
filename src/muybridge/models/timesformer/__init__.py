"""TimeSformer is transformers' own; here is what cards, commands and processors want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="timesformer",
        title="TimeSformer",
        prefix="Timesformer",
        package="transformers",
        input_size="8×224×224",
        papers=[
            Paper(
                "Is Space-Time Attention All You Need for Video Understanding?",
                "Bertasius, Wang, Torresani",
                2021,
                "https://arxiv.org/abs/2102.05095",
            )
        ],
        processor_fields={
            "do_resize": True,
            "size": {"shortest_edge": 224},
            "do_center_crop": True,
            "crop_size": {"height": 224, "width": 224},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        },
        tiny={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
    )
)
