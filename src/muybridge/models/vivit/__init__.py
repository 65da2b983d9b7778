"""ViViT is transformers' own; here is what cards, commands and processors want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="vivit",
        title="ViViT",
        prefix="Vivit",
        package="transformers",
        input_size="32×224×224",
        papers=[
            Paper(
                "ViViT: A Video Vision Transformer",
                "Arnab, Dehghani, Heigold, Sun, Lučić, Schmid",
                2021,
                "https://arxiv.org/abs/2103.15691",
            )
        ],
        processor_fields={
            "do_resize": True,
            "size": {"shortest_edge": 256},
            "do_center_crop": True,
            "crop_size": {"height": 224, "width": 224},
            "do_rescale": True,
            "rescale_factor": 1 / 127.5,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "offset": True,
        },
        tiny={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
    )
)
