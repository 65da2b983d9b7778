"""V-JEPA 2 is transformers' own; here is what cards, commands and processors want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="vjepa2",
        title="V-JEPA 2",
        prefix="VJEPA2",
        package="transformers",
        input_size="64×256×256",
        papers=[
            Paper(
                "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning",
                "Assran, Bardes, Fan, Garrido, Howes, Komeili, Muckley, Rizvi, Roberts, Sinha, Zholus, Arnaud, Gejji, "
                "Martin, Hogan, Dugas, Bojanowski, Khalidov, Labatut, Massa, Szafraniec, Krishnakumar, Li, Ma, "
                "Chandar, Meier, LeCun, Rabbat, Ballas",
                2025,
                "https://arxiv.org/abs/2506.09985",
            )
        ],
        processor_fields={
            "do_resize": True,
            "size": {"shortest_edge": 292},
            "do_center_crop": True,
            "crop_size": {"height": 256, "width": 256},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        },
        tiny={
            "frames_per_clip": 4,
            "crop_size": 32,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_ratio": 1.0,
            "num_pooler_layers": 1,
            "pred_hidden_size": 24,
            "pred_num_attention_heads": 2,
            "pred_num_hidden_layers": 1,
        },
    )
)
