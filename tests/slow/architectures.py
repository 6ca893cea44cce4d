"""Networks of others, and some made here, each with two inputs and labels in float64: small, and with random weights.

timm's and transformers' are imported when they are made, so that this file can be read without them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Case = tuple[nn.Module, Any, Tensor]  # network, inputs, labels
CLASSES, WORDS, TIME = 3, 11, 5  # of images; of a vocabulary; positions of a text

# A variant of each family, at 64 pixels where it takes them; where the smallest one takes seconds, some of its numbers.
ONE_EACH = {"depths": (1, 1, 1, 1)}
THIN = {"width_factor": 0.25}
TIMM: dict[str, dict[str, Any]] = {
    "test_vit": {},
    "test_vit_relpos": {},
    "test_byobnet": {},
    "test_convnext": {},
    "test_coatnet": {},
    "test_maxvit": {},
    "test_efficientnet": {},
    "test_efficientnet_evos": {},
    "test_mambaout": {},
    "test_nfnet": {},
    "test_resnet": {},
    "lambda_resnet26t": THIN,
    "botnet26t_256": THIN,
    "halonet26t": {**THIN, "img_size": 256},
    "gcresnet50t": {**THIN},
    "beit_base_patch16_224": {"depth": 2, "embed_dim": 96, "num_heads": 3},
    "cait_xxs24_224": {"depth": 3},
    "coat_lite_tiny": {"serial_depths": (1, 1, 1, 1)},
    "coat_tiny": {"serial_depths": (1, 1, 1, 1), "parallel_depth": 1},
    "convit_tiny": {"depth": 3, "local_up_to_layer": 2},
    "crossvit_9_240": {"img_size": 120, "depth": ((1, 1, 0),)},
    "cs3darknet_focus_s": {},
    "davit_tiny": {**ONE_EACH, "embed_dims": (24, 48, 72, 96), "num_heads": (1, 2, 3, 4)},
    "deit_tiny_distilled_patch16_224": {"depth": 2},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "dla46_c": {},
    "dpn48b": {},
    "edgenext_xx_small": {},
    "efficientformerv2_s0": {},
    "efficientvim_m1": {},
    "efficientvit_b0": {},
    "efficientvit_m0": {},
    "ese_vovnet19b_slim_dw": {},
    "eva02_tiny_patch14_224": {"depth": 2},
    "fasternet_t0": {},
    "fastvit_t8": {},
    "gcvit_xxtiny": {},
    "ghostnet_050": {},
    "gmlp_ti16_224": {},
    "hardcorenas_a": {},
    "hgnetv2_b0": {},
    "hiera_tiny_224": {"embed_dim": 24, "stages": (1, 1, 1, 1)},
    "iformer_t": {},
    "inception_next_atto": {},
    "lcnet_050": {},
    "legacy_seresnet18": {"layers": (1, 1, 1, 1)},
    "levit_128s": {},
    "mixnet_s": {},
    "mobilenetv2_035": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "mobilevit_xxs": {},
    "mobilevitv2_050": {},
    "naflexvit_base_patch16_gap": {"depth": 2, "embed_dim": 96, "num_heads": 3},
    "pit_ti_224": {},
    "poolformer_s12": {},
    "pvt_v2_b0": ONE_EACH,
    "regnetx_002": {},
    "regnety_002": {},
    "repghostnet_050": {},
    "repvit_m0_9": {},
    "res2net50_14w_8s": {"layers": (1, 1, 1, 1)},
    "resmlp_12_224": {},
    "resnest14d": {},
    "resnetv2_18": {"layers": (1, 1, 1, 1)},
    "rexnet_100": {"width_mult": 0.4},
    "sam2_hiera_tiny": {"stages": (1, 1, 1, 1), "embed_dim": 24},
    "samvit_base_patch16": {"depth": 2, "embed_dim": 96, "num_heads": 3, "global_attn_indexes": (1,)},
    "sequencer2d_s": {"layers": (1, 1, 1, 1), "embed_dims": (24, 24, 24, 24), "hidden_sizes": (8, 8, 8, 8)},
    "shvit_s1": {},
    "skresnet18": {"layers": (1, 1, 1, 1)},
    "starnet_s050": {},
    "swiftformer_xs": {"layers": (1, 1, 1, 1)},
    "swin_tiny_patch4_window7_224": {**ONE_EACH, "embed_dim": 24},
    "swinv2_tiny_window8_256": {**ONE_EACH, "embed_dim": 24},
    "swinv2_cr_tiny_224": {**ONE_EACH, "embed_dim": 24},
    "tf_mobilenetv3_small_075": {},
    "tinynet_e": {},
    "tiny_vit_5m_224": ONE_EACH,
    "tnt_s_patch16_224": {"depth": 2},
    "tresnet_m": {"layers": (1, 1, 1, 1)},
    "twins_svt_small": ONE_EACH,
    "vit_tiny_r_s16_p8_224": {"depth": 1},
    "xcit_nano_12_p16_224": {"depth": 2},
    "cpubone_nano": {},
    "gemma4_vit_167m": {"depth": 2, "embed_dim": 96, "num_heads": 3},
    "qwen3_vit_88m": {"depth": 2, "embed_dim": 96, "num_heads": 3},
    "rdnet_tiny": {"num_init_features": 16, "growth_rates": (16,) * 7, "num_blocks_list": (1,) * 7},
    "lcnetv2_base": {},
}

_OPERATORS: list[Any] = []  # torch forgets an operator with the object that declared it


def prepared() -> None:
    """Import timm and transformers, torchvision's compiled part or not.

    timm imports torchvision, whose compiled part is for one build of torch; without it, two operators are not declared
    that torchvision registers implementations of. No network here calls them.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _OPERATORS.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _OPERATORS[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in ("timm", "transformers"):
        importlib.import_module(name)


def are_installed() -> bool:
    """Return whether timm is here; raise what importing it does, where `make test-slow` has installed it."""
    try:
        prepared()
    except ImportError:
        if (Path(sys.prefix) / ".installed-architectures").exists():
            raise
        return False
    return True


def _of_timm(name: str) -> Case:
    import timm

    options = TIMM[name]
    try:
        net = timm.create_model(name, num_classes=CLASSES, **{"img_size": 64, **options})
    except TypeError:  # a network that takes images of any size
        net = timm.create_model(name, num_classes=CLASSES, **options)
    size = options.get("img_size", 64)
    return net, torch.randn(2, 3, size, size), torch.tensor([0, 2])


def _text(labels: Tensor, **more: Any) -> tuple[dict[str, Tensor], Tensor]:
    """Return two texts, of which one is shorter, and labels."""
    words = torch.randint(1, WORDS, (2, TIME))
    mask = torch.ones_like(words)
    mask[1, 3:] = 0
    return {"input_ids": words, "attention_mask": mask, **more}, labels


def _of_transformers(kind: str, config: str, labels: Callable[[], Tensor], **options: Any) -> Callable[[], Case]:
    """Return what makes a network of the transformers library by the names of its class and its configuration."""

    def make() -> Case:
        import transformers

        settings = getattr(transformers, config)(**options)
        settings._attn_implementation = settings._experts_implementation = "eager"  # others are not made for float64
        more = {"decoder_input_ids": torch.randint(1, WORDS, (2, TIME))} if kind.endswith("Generation") else {}
        return (getattr(transformers, kind)(settings), *_text(labels(), **more))

    return make


def _per_text() -> Tensor:
    return torch.tensor([0, 2])


def _per_word() -> Tensor:
    """Return a label for each position; those behind the end of the shorter text do not count."""
    labels = torch.randint(0, CLASSES, (2, TIME))
    labels[1, 3:] = -100
    return labels


def _of_sound() -> Case:
    """Make a network whose convolutions over positions have weight norm."""
    import transformers

    config = transformers.Wav2Vec2Config(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        conv_dim=(8, 8),
        conv_stride=(2, 2),
        conv_kernel=(3, 3),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        num_labels=CLASSES,
        classifier_proj_size=6,
    )
    net = transformers.Wav2Vec2ForSequenceClassification(config)
    return net, {"input_values": torch.randn(2, 40)}, _per_text()


_SIZES: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "num_labels": CLASSES,
    "pad_token_id": 0,
}
_KEYS = {"num_key_value_heads": 1}
_GPT2: dict[str, Any] = {"vocab_size": WORDS, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16}
_T5: dict[str, Any] = {"vocab_size": WORDS, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "num_labels": CLASSES}
TRANSFORMERS: dict[str, Callable[[], Case]] = {
    "BERT, classes": _of_transformers("BertForSequenceClassification", "BertConfig", _per_text, **_SIZES),
    "BERT, masked words": _of_transformers("BertForMaskedLM", "BertConfig", _per_word, **_SIZES),
    "ALBERT, classes": _of_transformers(
        "AlbertForSequenceClassification", "AlbertConfig", _per_text, **_SIZES, embedding_size=6
    ),
    "DeBERTa, classes": _of_transformers(
        "DebertaV2ForSequenceClassification",
        "DebertaV2Config",
        _per_text,
        **_SIZES,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
    ),
    "GPT-2, next words": _of_transformers("GPT2LMHeadModel", "GPT2Config", _per_word, **_GPT2, **_ENDS),
    "GPT-2, classes": _of_transformers("GPT2ForSequenceClassification", "GPT2Config", _per_text, **_GPT2, **_ENDS),
    "Llama, next words": _of_transformers("LlamaForCausalLM", "LlamaConfig", _per_word, **_SIZES, **_KEYS),
    "Llama, classes": _of_transformers("LlamaForSequenceClassification", "LlamaConfig", _per_text, **_SIZES, **_KEYS),
    "Mixtral, next words": _of_transformers(
        "MixtralForCausalLM", "MixtralConfig", _per_word, **_SIZES, **_KEYS, num_local_experts=3
    ),
    "Mamba, next words": _of_transformers(
        "MambaForCausalLM",
        "MambaConfig",
        _per_word,
        vocab_size=WORDS,
        hidden_size=8,
        state_size=4,
        num_hidden_layers=2,
    ),
    "Bloom, next words": _of_transformers(
        "BloomForCausalLM", "BloomConfig", _per_word, vocab_size=WORDS, hidden_size=8, n_layer=2, n_head=2
    ),
    "FNet, classes": _of_transformers("FNetForSequenceClassification", "FNetConfig", _per_text, **_SIZES),
    "XLNet, classes": _of_transformers(
        "XLNetForSequenceClassification",
        "XLNetConfig",
        _per_text,
        vocab_size=WORDS,
        d_model=8,
        n_layer=2,
        n_head=2,
        d_inner=12,
        num_labels=CLASSES,
    ),
    "RWKV, next words": _of_transformers(
        "RwkvForCausalLM",
        "RwkvConfig",
        _per_word,
        vocab_size=WORDS,
        hidden_size=8,
        num_hidden_layers=2,
        attention_hidden_size=8,
        intermediate_size=12,
    ),
    "wav2vec 2.0, classes": _of_sound,
    "T5 encoder, a class for each word": _of_transformers(
        "T5ForTokenClassification", "T5Config", _per_word, **_T5, **_ENDS
    ),
    "T5, next words": _of_transformers("T5ForConditionalGeneration", "T5Config", _per_word, **_T5, **_ENDS),
}


class InDouble(TorchFunctionMode):
    """Computes in float64 what networks would in float32, such as the norms of language models, to compare to 1e-9."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = tuple(torch.float64 if entry is torch.float32 else entry for entry in args)
        named = {key: torch.float64 if entry is torch.float32 else entry for key, entry in (kwargs or {}).items()}
        return (Tensor.double if func is Tensor.float else func)(*args, **named)


class Made(nn.Module):
    """Modules by name, and a function of them and the inputs for the forward pass."""

    def __init__(self, way: Callable[..., Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.way = way
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.way(self, *inputs)


def _recurrent(kind: type[nn.RNNBase], **options: Any) -> Callable[[], Case]:
    def make() -> Case:
        net = Made(
            lambda n, x: n.out(n.rnn(x)[0][:, -1]),
            rnn=kind(4, 6, num_layers=2, batch_first=True, bidirectional=True, **options),
            out=nn.Linear(options.get("proj_size", 6) * 2, CLASSES),
        )
        return net, torch.randn(2, TIME, 4), _per_text()

    return make


def _translator() -> Case:
    """A transformer of torch's own, encoder and decoder, with causal attention."""
    mask = nn.Transformer.generate_square_subsequent_mask(TIME)
    net = Made(
        lambda n, x, y: n.out(n.both(x, y, tgt_mask=mask.to(x))),
        both=nn.Transformer(8, 2, 1, 1, 12, batch_first=True),
        out=nn.Linear(8, CLASSES),
    )
    return net, (torch.randn(2, 4, 8), torch.randn(2, TIME, 8)), _per_word()


def _pooled_attention() -> Case:
    """Learned queries, which are a parameter of no layer, look at the inputs."""

    def way(n: Any, x: Tensor) -> Tensor:
        return n.out(n.attention(n.queries.weight.expand(len(x), -1, -1), x, x, need_weights=False)[0].flatten(1))

    net = Made(
        way,
        attention=nn.MultiheadAttention(8, 2, kdim=4, vdim=4, batch_first=True),
        queries=nn.Embedding(2, 8),
        out=nn.Linear(16, CLASSES),
    )
    return net, torch.randn(2, TIME, 4), _per_text()


def _block(inputs: int, outputs: int, conv: type[nn.Module], norm: type[nn.Module]) -> nn.Module:
    return nn.Sequential(conv(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU(inplace=True))


def _u_net() -> Case:
    """Two steps down and up, with skips, and a label for each pixel."""

    def way(n: Any, x: Tensor) -> Tensor:
        first = n.down1(x)
        second = n.down2(F.max_pool2d(first, 2))
        deep = n.deep(F.max_pool2d(second, 2))
        second = n.up2(torch.cat([n.wider2(deep), second], 1))
        up = F.interpolate(second, scale_factor=2, mode="bilinear", align_corners=False)
        return n.out(n.up1(torch.cat([up, first], 1)))

    conv, norm = nn.Conv2d, nn.BatchNorm2d
    net = Made(
        way,
        down1=_block(1, 3, conv, norm),
        down2=_block(3, 4, conv, norm),
        deep=_block(4, 5, conv, norm),
        wider2=nn.ConvTranspose2d(5, 4, 2, stride=2),
        up2=_block(8, 4, conv, norm),
        up1=_block(7, 3, conv, norm),
        out=conv(3, CLASSES, 1),
    )
    return net, torch.randn(2, 1, 4, 8), torch.randint(0, CLASSES, (2, 4, 8))


def _waves() -> Case:
    """Gated convolutions in 1d with holes, each looking back only, and their sum."""

    def way(n: Any, x: Tensor) -> Tensor:
        x, total = n.first(x), 0
        for i, (filters, gate) in enumerate(zip(n.filters, n.gates, strict=True)):
            past = F.pad(x, (2**i, 0))
            step = torch.tanh(filters(past)) * torch.sigmoid(gate(past))
            x, total = x + step, total + step
        return n.out(torch.relu(total))

    holes = [nn.ModuleList(nn.Conv1d(4, 4, 2, dilation=2**i) for i in range(3)) for _ in range(2)]
    net = Made(way, first=nn.Conv1d(1, 4, 1), filters=holes[0], gates=holes[1], out=nn.Conv1d(4, CLASSES, 1))
    return net, torch.randn(2, 1, 7), torch.randint(0, CLASSES, (2, 7))


def _volumes() -> Case:
    net = nn.Sequential(
        _block(1, 3, nn.Conv3d, nn.BatchNorm3d),
        nn.MaxPool3d(2),
        nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1), groups=3),
        nn.GELU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, CLASSES),
    )
    return net, torch.randn(2, 1, 4, 6, 6), _per_text()


def _on_a_graph() -> Case:
    """Two layers of message passing over each example's own adjacency matrix [N, nodes, nodes]."""

    def way(n: Any, nodes: Tensor, edges: Tensor) -> Tensor:
        hidden = torch.relu(edges @ n.first(nodes))
        return n.out((edges @ n.second(hidden)).mean(1))

    net = Made(way, first=nn.Linear(4, 6), second=nn.Linear(6, 6), out=nn.Linear(6, CLASSES))
    return net, (torch.randn(2, 5, 4), torch.rand(2, 5, 5)), _per_text()


OWN: dict[str, Callable[[], Case]] = {
    "RNN, 2 layers, both ways": _recurrent(nn.RNN),
    "GRU, 2 layers, both ways": _recurrent(nn.GRU),
    "LSTM with projections": _recurrent(nn.LSTM, proj_size=3),
    "encoder and decoder": _translator,
    "attention with learned queries": _pooled_attention,
    "U-Net": _u_net,
    "gated 1d convolutions": _waves,
    "3d convolutions": _volumes,
    "message passing": _on_a_graph,
}


def names() -> list[str]:
    return [*TIMM, *TRANSFORMERS, *OWN]


def make(name: str) -> Case:
    """Return a network in eval mode, in float64, with inputs and labels.

    What starts as one number is drawn instead, and running statistics are halfway to those of these inputs: otherwise
    a last norm of zeros would switch whole branches off, or logits be so large that there is no curvature to compare.
    """
    torch.manual_seed(0)
    net, x, y = _of_timm(name) if name in TIMM else {**TRANSFORMERS, **OWN}[name]()
    net = net.double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter += 0.2 * torch.randn_like(parameter)
    x = in_double(x)
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if norms:
        for norm in norms:
            norm.train().momentum = 0.5
        with torch.no_grad():
            run(net, x)
        net.eval()
    return net, x, y


def in_double(x: Any) -> Any:
    """Return inputs with all real numbers as float64."""
    if isinstance(x, dict):
        return {name: in_double(entry) for name, entry in x.items()}
    if isinstance(x, tuple):
        return tuple(in_double(entry) for entry in x)
    return x.double() if x.is_floating_point() else x


def run(net: nn.Module, x: Any) -> Tensor:
    """Return a network's outputs for inputs that are a tensor, a tuple or a dict."""
    outputs = net(**x) if isinstance(x, dict) else net(*x) if isinstance(x, tuple) else net(x)
    return getattr(outputs, "logits", outputs)
