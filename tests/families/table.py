"""Every class of `AutoModelForImageClassification`: a small config, and its image processor.

Sizes are scaled down; the settings of a processor are of the kind that the family's published
checkpoints have.
"""

import dataclasses
from typing import Any, Literal

_VIT: dict[str, Any] = {
    **{"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 48, "image_size": 32, "patch_size": 8},
}
_DINO: dict[str, Any] = {name: _VIT[name] for name in _VIT if name != "intermediate_size"}
_SWIN: dict[str, Any] = {
    **{"image_size": 32, "patch_size": 4, "embed_dim": 12, "window_size": 4},
    **{"depths": [1, 1], "num_heads": [2, 2]},
}
_STAGES: dict[str, Any] = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
_PYRAMID: dict[str, Any] = {
    **{"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]},
    **{"num_attention_heads": [1, 2, 2, 2]},
}
_CONTRASTIVE: dict[str, Any] = {"vision_config": _VIT, "text_config": {"hidden_size": 8}}
_SQUARE: dict[str, Any] = {"size": {"height": 32, "width": 32}}
_SHORT: dict[str, Any] = {
    "size": {"shortest_edge": 36},
    "crop_size": {"height": 32, "width": 32},
}
_CONVNEXT: dict[str, Any] = {"size": {"shortest_edge": 64}, "crop_pct": 0.875}


@dataclasses.dataclass(frozen=True)
class Family:
    """One class, and how a small one is made.

    Attributes:
        model_type: as it stands in config.json.
        model_class: of transformers.
        config: of the small model.
        processor: class of its image processor, without the ending of a backend.
        settings: of the processor.
        missing: why there is no figure; None where there is one.
        openvino: whether it runs the class, is refused for it, or is judged: which of the two
            depends on how the processor rounds.
    """

    model_type: str
    model_class: str
    config: dict[str, Any]
    processor: str
    settings: dict[str, Any]
    missing: str | None = None
    openvino: Literal["runs", "refused", "judged"] = "runs"


def _family(
    model_type: str,
    model_class: str,
    config: dict[str, Any],
    processor: str,
    settings: dict[str, Any],
    **more: Any,
) -> Family:
    name = f"{processor}ImageProcessor"
    return Family(
        model_type, f"{model_class}ForImageClassification", config, name, settings, **more
    )


_DEIT: dict[str, Any] = {
    "size": {"height": 36, "width": 36},
    "crop_size": {"height": 32, "width": 32},
}
_PERCEIVER: dict[str, Any] = {
    **{"num_latents": 8, "d_latents": 16, "num_self_attends_per_block": 1},
    **{"num_self_attention_heads": 2, "num_cross_attention_heads": 1},
}
_CROP_FIRST: dict[str, Any] = {"crop_size": {"height": 36, "width": 36}, **_SQUARE}
_LEVIT: dict[str, Any] = {
    **{"image_size": 64, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2]},
    **{"depths": [1, 1, 1], "key_dim": [4, 4, 4]},
}
_LEVIT_SIZE: dict[str, Any] = {
    "size": {"shortest_edge": 64},
    "crop_size": {"height": 64, "width": 64},
}
_MOBILE: dict[str, Any] = {
    "size": {"shortest_edge": 72},
    "crop_size": {"height": 64, "width": 64},
}

_NATTEN = (
    "needs the package natten, whose releases that transformers 5 can use fit no torch of today"
)

FAMILIES: tuple[Family, ...] = (
    _family("beit", "Beit", _VIT, "Beit", {**_SQUARE, "do_center_crop": False}),
    _family("bit", "Bit", {**_STAGES, "embedding_size": 8, "num_groups": 4}, "Bit", _SHORT),
    _family("clip", "CLIP", _CONTRASTIVE, "CLIP", _SHORT),
    _family("convnext", "ConvNext", _STAGES, "ConvNext", _CONVNEXT),
    _family("convnextv2", "ConvNextV2", _STAGES, "ConvNext", {"size": {"shortest_edge": 384}}),
    _family(
        "cvt",
        "Cvt",
        {"embed_dim": [8, 12, 16], "num_heads": [1, 2, 2], "depth": [1, 2, 3]},
        "ConvNext",
        _CONVNEXT,
    ),
    _family("data2vec-vision", "Data2VecVision", _VIT, "Beit", _SQUARE),
    _family("deit", "DeiT", _VIT, "DeiT", _DEIT),
    Family("deit", "DeiTForImageClassificationWithTeacher", _VIT, "DeiTImageProcessor", _DEIT),
    _family("dinat", "Dinat", {}, "ViT", _SQUARE, missing=_NATTEN),
    _family("dinov2", "Dinov2", _DINO, "Bit", _SHORT),
    _family("dinov2_with_registers", "Dinov2WithRegisters", _DINO, "Bit", _SHORT),
    _family(
        "donut-swin",
        "DonutSwin",
        _SWIN,
        "Donut",
        {**_SQUARE, "do_align_long_axis": False, "do_thumbnail": True, "do_pad": True},
    ),
    _family(
        "efficientnet",
        "EfficientNet",
        {
            **{"image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.25},
            **{"hidden_dim": 320},
        },
        "EfficientNet",
        {**_SQUARE, "include_top": True, "rescale_offset": False, "resample": 0},
    ),
    _family(
        "focalnet",
        "FocalNet",
        {
            **{"image_size": 32, "embed_dim": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
            **{"focal_levels": [2, 2], "focal_windows": [3, 3]},
        },
        "Bit",
        _SHORT,
    ),
    _family(
        "hgnet_v2",
        "HGNetV2",
        {
            **{"embedding_size": 8, "hidden_sizes": [16, 16, 16, 16], "depths": [1, 1, 1, 1]},
            **{"stem_channels": [3, 8, 8], "stage_in_channels": [8, 16, 16, 16]},
            **{"stage_mid_channels": [8, 8, 8, 8], "stage_out_channels": [16, 16, 16, 16]},
            **{"stage_num_blocks": [1, 1, 1, 1], "stage_numb_of_layers": [2, 2, 2, 2]},
        },
        "ViT",
        {"size": {"height": 64, "width": 64}},
    ),
    _family(
        "hiera",
        "Hiera",
        {
            **{"image_size": [64, 64], "embed_dim": 8, "depths": [1, 1, 1, 1]},
            **{"num_heads": [1, 1, 2, 2], "masked_unit_size": [8, 8]},
        },
        "Bit",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    _family("ijepa", "IJepa", _VIT, "ViT", _SQUARE),
    _family(
        "imagegpt",
        "ImageGPT",
        {
            **{"vocab_size": 17, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2},
            **{"pad_token_id": 0},
        },
        "ImageGPT",
        {"size": {"height": 8, "width": 8}, "clusters": None},
    ),
    _family("levit", "Levit", _LEVIT, "Levit", _LEVIT_SIZE),
    Family(
        "levit",
        "LevitForImageClassificationWithTeacher",
        _LEVIT,
        "LevitImageProcessor",
        _LEVIT_SIZE,
    ),
    _family("metaclip_2", "MetaClip2", _CONTRASTIVE, "CLIP", _SHORT),
    _family("mobilenet_v1", "MobileNetV1", {"depth_multiplier": 0.25}, "MobileNetV1", _MOBILE),
    _family(
        "mobilenet_v2",
        "MobileNetV2",
        {"depth_multiplier": 0.1, "finegrained_output": False},
        "MobileNetV2",
        _MOBILE,
    ),
    _family(
        "mobilevit",
        "MobileViT",
        {
            **{"image_size": 64, "hidden_sizes": [12, 16, 20], "num_attention_heads": 2},
            **{"neck_hidden_sizes": [4, 8, 12, 16, 20, 24, 32]},
        },
        "MobileViT",
        {**_MOBILE, "do_flip_channel_order": True},
    ),
    _family(
        "mobilevitv2",
        "MobileViTV2",
        {"image_size": 64, "base_attn_unit_dims": [8, 12, 16], "width_multiplier": 0.25},
        "MobileViT",
        {**_MOBILE, "do_flip_channel_order": True},
    ),
    Family(
        "perceiver",
        "PerceiverForImageClassificationLearned",
        {**_PERCEIVER, "image_size": 32},
        "PerceiverImageProcessor",
        _CROP_FIRST,
        openvino="judged",
    ),
    Family(
        "perceiver",
        "PerceiverForImageClassificationFourier",
        _PERCEIVER,
        "PerceiverImageProcessor",
        {"crop_size": {"height": 80, "width": 80}, "size": {"height": 64, "width": 64}},
        openvino="judged",
    ),
    Family(
        "perceiver",
        "PerceiverForImageClassificationConvProcessing",
        _PERCEIVER,
        "PerceiverImageProcessor",
        {"crop_size": {"height": 256, "width": 256}, "size": {"height": 224, "width": 224}},
        openvino="judged",
    ),
    _family(
        "poolformer",
        "PoolFormer",
        _STAGES,
        "PoolFormer",
        {
            **{"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}},
            **{"crop_pct": 0.9},
        },
    ),
    _family(
        "pp_lcnet",
        "PPLCNet",
        {},
        "PPLCNet",
        {},
        missing="needs torchvision, imgcls_beam[timm]; its class is compared with there, since the "
        "library's own pipeline cannot run it",
    ),
    _family(
        "pvt",
        "Pvt",
        {**_PYRAMID, "image_size": 64, "num_labels": 11},
        "Pvt",
        {"size": {"height": 64, "width": 64}},
    ),
    _family("pvt_v2", "PvtV2", _PYRAMID, "Pvt", {"size": {"height": 64, "width": 64}}),
    _family(
        "regnet",
        "RegNet",
        {**_STAGES, "embedding_size": 8, "groups_width": 4},
        "ConvNext",
        _CONVNEXT,
    ),
    _family("resnet", "ResNet", {**_STAGES, "embedding_size": 8}, "ConvNext", _CONVNEXT),
    _family("segformer", "Segformer", _PYRAMID, "Segformer", {"size": {"height": 64, "width": 48}}),
    _family(
        "shieldgemma2",
        "ShieldGemma2",
        {},
        "Gemma3",
        {},
        missing="wants text with each image; transformers' own pipeline cannot run it here",
    ),
    _family("siglip", "Siglip", _CONTRASTIVE, "Siglip", _SQUARE),
    _family(
        "siglip2",
        "Siglip2",
        {
            "vision_config": {
                **{name: _VIT[name] for name in _VIT if name != "image_size"},
                **{"num_patches": 64},
            },
            "text_config": {"hidden_size": 8},
        },
        "Siglip2",
        {"patch_size": 8, "max_num_patches": 64},
        openvino="refused",
    ),
    _family(
        "swiftformer",
        "SwiftFormer",
        {"image_size": 64, "depths": [1, 1, 1, 1], "embed_dims": [8, 12, 16, 24]},
        "ViT",
        {"size": {"height": 64, "width": 64}},
    ),
    _family("swin", "Swin", _SWIN, "ViT", _SQUARE),
    _family("swinv2", "Swinv2", _SWIN, "ViT", _SQUARE),
    _family(
        "textnet",
        "TextNet",
        {
            **{"stem_out_channels": 8, "hidden_sizes": [8, 8, 12, 16, 24]},
            **{"conv_layer_kernel_sizes": [[[3, 3]], [[3, 3]], [[3, 3]], [[3, 3]]]},
            **{"conv_layer_strides": [[2], [2], [2], [2]]},
        },
        "TextNet",
        {"size": {"shortest_edge": 64}, "size_divisor": 32},
    ),
    _family(
        "timm_wrapper",
        "TimmWrapper",
        {},
        "TimmWrapper",
        {},
        missing="needs timm and torchvision, imgcls_beam[timm]; compared there, `make timm`",
    ),
    _family("vit", "ViT", _VIT, "ViT", _SQUARE),
    _family("vit_msn", "ViTMSN", _VIT, "ViT", _SQUARE),
)
