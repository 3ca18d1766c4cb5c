#!/usr/bin/env bash
# transformers 5.23.0, OMDet-Turbo: the words of classes keep the embeddings of the weights that were there before.
#
# One would expect: after load_state_dict, a step of training or another adapter, the network answers by its new weights.
# What happens: OmDetTurboForObjectDetection remembers the text network's output for each class and task that it has seen,
#   and nothing makes it forget. The same question after new weights is answered by a mixture: new picture network, old words.
#   After one evaluation under no_grad, the text network gets no gradient for those words, so it is not trained.
# Who is hurt: whoever compares checkpoints in one process, or tunes the detector and evaluates it between epochs with
#   the same classes: scores are those of no checkpoint. No error, no warning, and no public call clears it.
# Where: models/omdet_turbo/modeling_omdet_turbo.py, OmDetTurboForObjectDetection.language_cache_class and
#   language_cache_prompt.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import transformers

config = transformers.OmDetTurboConfig(
    text_config=transformers.CLIPTextConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, bos_token_id=1, eos_token_id=31,
    ),
    backbone_config=transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    ),
    apply_layernorm_after_vision_backbone=False, image_size=64, num_queries=12, disable_custom_kernels=True,
    text_projection_in_dim=16, text_projection_out_dim=16, class_embed_dim=16, task_encoder_hidden_dim=24,
    encoder_hidden_dim=32, encoder_in_channels=[16, 32, 64], encoder_attention_heads=2, encoder_dim_feedforward=16,
    vision_features_channels=[32, 32, 32], decoder_hidden_dim=32, decoder_num_heads=2, decoder_num_layers=2,
    decoder_dim_feedforward=16,
)
classes, task = torch.tensor([[1, 5, 31, 0], [1, 6, 31, 0]]), torch.tensor([[1, 7, 31, 0]])
asked = dict(
    pixel_values=torch.rand(1, 3, 64, 64), classes_structure=torch.tensor([2]),
    classes_input_ids=classes, classes_attention_mask=(classes > 0).long(),
    tasks_input_ids=task, tasks_attention_mask=(task > 0).long(),
)


def network(seed):
    torch.manual_seed(seed)
    made = transformers.OmDetTurboForObjectDetection(config).eval()
    torch.nn.init.normal_(made.language_backbone.text_projection)
    return made


def scores(of):
    return of(**asked).decoder_class_logits


def gradients(of):
    scores(of).sum().backward()
    return any(weight.grad is not None for weight in of.language_backbone.parameters())


tuned = network(1)
for name in ("never asked before", "asked before"):
    loaded, trained = network(0), network(0)
    with torch.no_grad():
        if name == "asked before":
            scores(loaded), scores(trained)
        loaded.load_state_dict(tuned.state_dict())
        right = torch.allclose(scores(loaded), scores(network(1)), atol=1e-4)
    print(f"{name}: by the loaded weights {right}, gradients in the text network {gradients(trained)}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="never asked before: by the loaded weights True, gradients in the text network True
asked before: by the loaded weights False, gradients in the text network False"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
