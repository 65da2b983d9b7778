"""VideoPrism is transformers' own; here is what cards, commands and processors want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="videoprism_vision_model",
        title="VideoPrism",
        prefix="VideoPrism",
        package="transformers",
        input_size="16×288×288",
        papers=[
            Paper(
                "VideoPrism: A Foundational Visual Encoder for Video Understanding",
                "Zhao, Gundavarapu, Yuan, Zhou, Yan, Sun, Friedman, Qian, Weyand, Zhao, Hornung, Schroff, "
                "Yang, Ross, Wang, Adam, Sirotenko, Liu, Gong",
                2024,
                "https://arxiv.org/abs/2402.13217",
            )
        ],
        processor_fields={
            "do_resize": True,
            "size": {"height": 288, "width": 288},
            "resample": 3,  # bicubic
            "do_center_crop": False,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": False,
        },
        tiny={
            "hidden_size": 16,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "tubelet_size": (1, 16, 16),
            "num_spatial_layers": 2,
            "num_temporal_layers": 1,
        },
    )
)
