"""VideoMAE is transformers' own; here is what cards, commands and processors want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="videomae",
        title="VideoMAE",
        prefix="VideoMAE",
        package="transformers",
        input_size="16×224×224",
        papers=[
            Paper(
                "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre- Training",
                "Tong, Song, Wang, Wang",
                2022,
                "https://arxiv.org/abs/2203.12602",
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
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        tiny={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
    )
)
