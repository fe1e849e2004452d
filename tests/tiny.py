"""Build models of about a megabyte with a tokenizer of their own, in seconds: `python tests/tiny.py FOLDER`.

They load and answer through transformers (and vLLM) like real checkpoints. FOLDER gets one folder for each kind:

- ``base``: random weights and no chat template; what it says is noise, the same every time.
- ``chat``: the same with a chat template; it answers every chat with SAYS.
- ``thinking``: thinks aloud between ``<think>`` and ``</think>``, special tokens of its own, before it says the same.
- ``opened``: the same, but its chat template opens the thought; what it writes begins inside it.
- ``endless``: opens a thought and never ends it.
- ``empty``: ends every chat at once, without a word.
- ``lora``: a LoRA adapter of random weights for the ``base`` model.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).resolve().parent.parent / "tasks" / "m-arenahard-mini"
SAYS = "Yes, this is my answer."
THINKS = "Let me see"
SPECIAL = ["<bos>", "<eos>", "<|user|>", "<|system|>", "<|assistant|>", "<think>", "</think>"]
TEMPLATE = (
    "<bos>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% if not loop.last or m.role != 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CHATS = {
    "chat": [SAYS, "<eos>"],
    "thinking": ["<think>", THINKS, "</think>", SAYS, "<eos>"],
    "opened": [THINKS, "</think>", SAYS, "<eos>"],
    "endless": ["<think>", THINKS, "<think>"],
    "empty": ["<eos>"],
}


def build(folder: Path) -> None:
    """Write a model of every kind below ``folder``."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder / "base")
    _random(len(tokenizer)).save_pretrained(folder / "base")
    for kind, says in CHATS.items():
        opening = "<think>" if kind == "opened" else ""
        tokenizer.chat_template = TEMPLATE.replace("<|assistant|>{% endif %}", f"<|assistant|>{opening}{{% endif %}}")
        tokenizer.save_pretrained(folder / kind)
        chain = [tokenizer.convert_tokens_to_ids(opening or "<|assistant|>")]
        for text in says:
            chain += tokenizer(text, add_special_tokens=False)["input_ids"]
        _scripted(len(tokenizer), chain).save_pretrained(folder / kind)
    _adapter(folder / "base", folder / "lora")


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    rows = [json.loads(line) for file in sorted(TEXTS.glob("*.jsonl")) for line in file.open(encoding="utf-8")]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator((row["prompt"] for row in rows), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>",
        additional_special_tokens=SPECIAL[2:],
    )  # fmt: skip


def _config(vocabulary: int, tied: bool) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, head_dim=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        tie_word_embeddings=tied, initializer_range=0.3,
    )  # fmt: skip


def _random(vocabulary: int) -> Any:
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(_config(vocabulary, tied=True))


def _scripted(vocabulary: int, chain: list[int]) -> Any:
    """Return a model in which each token of ``chain`` is followed by the next, whatever came before.

    Its layers add nothing, so that the last token alone speaks: each has a dimension of its own in the embedding, from
    which the output layer reads its successor. So no token but the last may be twice in the chain.
    """
    import torch
    from transformers import LlamaForCausalLM

    pairs = dict(pairwise(chain))
    assert len(pairs) == len(chain) - 1 <= 64, chain
    model = LlamaForCausalLM(_config(vocabulary, tied=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.model.norm.weight.fill_(1.0)
        for dimension, (token, following) in enumerate(pairs.items()):
            model.model.embed_tokens.weight[token, dimension] = 1.0
            model.lm_head.weight[following, dimension] = 4.0
    return model


def _adapter(base: Path, folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    config.base_model_name_or_path = str(base)
    get_peft_model(model, config).save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
