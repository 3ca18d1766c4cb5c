"""Which encoder a folder holds."""

from __future__ import annotations

from pathlib import Path

from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.dual import FAMILIES, open_dual
from pareja.encoders.gemma import MODEL_TYPE as GEMMA
from pareja.encoders.gemma import open_gemma
from pareja.encoders.openclip import open_openclip
from pareja.encoders.sentence import open_text_encoder
from pareja.encoders.sentence_modules import read_modules
from pareja.encoders.towers import NetworkDualEncoder, NetworkImageEncoder, NetworkTextEncoder
from pareja.encoders.unimodal import POOLINGS, open_image_encoder

_FOLDER = "a local folder"
NetworkEncoder = NetworkDualEncoder | NetworkImageEncoder | NetworkTextEncoder


def open_folder(
    folder: Path,
    name: str,
    *,
    model: str | None = None,
    commit: str | None = None,
    text_prefix: str = "",
    device: str | None = None,
    precision: str | None = None,
) -> NetworkEncoder:
    """Open the encoder that a folder holds, whichever kind it is.

    Parameters
    ----------
    folder
        With a ``config.json`` of transformers, a ``modules.json`` of sentence-transformers, or an
        ``open_clip_config.json``.
    name
        How messages call it.
    model
        Its repository. A folder that comes from nowhere known is told from others by its files
        alone, so that it may be renamed and moved.
    commit
        Of the repository; by default the files are hashed.
    text_prefix
        Put before every text where the folder's own files name no prompt.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in. By torch on a CPU
        without AVX512, bfloat16 takes several times as long.

    Raises
    ------
    EncoderError
        If the folder holds no encoder, or one of its files is missing or broken.
    """
    checkpoint = Checkpoint(folder, name, model or _FOLDER, commit)
    checkpoint.check_files()
    try:
        return _open(checkpoint, text_prefix, device, precision)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        # Any field of a file that another program wrote may be missing or of another kind.
        raise checkpoint.error(
            f"its JSON files do not describe an encoder: {type(error).__name__}: {error}"
        ) from error


def _open(
    checkpoint: Checkpoint, text_prefix: str, device: str | None, precision: str | None
) -> NetworkEncoder:
    if checkpoint.has("modules.json"):
        modules = read_modules(checkpoint)
        network = modules.network
        if network.config.get("model_type") == GEMMA:
            return open_gemma(checkpoint, modules, device=device, precision=precision)
        if network.config.get("model_type") not in FAMILIES:
            return open_text_encoder(
                checkpoint, modules, prefix=text_prefix, device=device, precision=precision
            )
        if any(layer.kind == "Pooling" for layer in modules.layers) or modules.prompt:
            raise checkpoint.error("it pools tokens or puts prompts before texts: not supported")
        modules.check_outputs(
            text=("get_text_features", "pooler_output"),
            image=("get_image_features", "pooler_output"),
        )
        return open_dual(network, modules.layers, device=device, precision=precision)
    # Repositories of timm have a config.json too, which transformers does not know.
    openclip = checkpoint.has("open_clip_config.json")
    if openclip and checkpoint.optional_json("config.json").get("model_type") not in FAMILIES:
        return open_openclip(checkpoint, device=device, precision=precision)
    model_type = checkpoint.config.get("model_type")
    if model_type in FAMILIES:
        return open_dual(checkpoint, device=device, precision=precision)
    if model_type == GEMMA:
        return open_gemma(checkpoint, None, device=device, precision=precision)
    if model_type in POOLINGS:
        return open_image_encoder(checkpoint, device=device, precision=precision)
    raise checkpoint.error(
        f"config.json has the model_type {model_type!r}, which is no encoder that pareja reads. "
        f"It reads {', '.join([*FAMILIES, GEMMA, *POOLINGS])}, and folders with a modules.json"
    )
