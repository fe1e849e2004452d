"""A tiny model of random weights, built once a session (Gemma 3 in kind, with a tokenizer trained on the spot); API clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends import BACKENDS, opened
from evalharness.backends.openai.backend import OpenAIBackend
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend
from tests.conftest import ApiServer

CORPUS = [
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "Die Hauptstadt von Frankreich ist Paris; der zweite Buchstabe ist B.",
    "日本の首都は東京です。東京は大きい。",
    "Question: which answer is better, A or B? Answer: A",
    "Вопрос: какой ответ лучше, А или Б? Ответ: А",
    "def add(a, b):\n    return a + b\n",
] * 4
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "[{{ message.role }}] {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
CONTEXT = 200
WINDOW = 96


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer Gemma 3 (one sliding layer, one full) in float32, without a chat template."""
    torch = pytest.importorskip("torch", reason="pip install 'evalharness[hf]'")
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = _tokenizer(folder)
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, sliding_window=WINDOW, max_position_embeddings=CONTEXT,
        layer_types=["sliding_attention", "full_attention"], initializer_range=0.2, tie_word_embeddings=False,
        pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return folder


def _tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<bos>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **named}))
    size: int = tokenizer.get_vocab_size()
    return size


@pytest.fixture(scope="session")
def codec(tiny: Path) -> Any:
    """A maker of codecs over the tiny tokenizer: rendering in, Codec out."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    from evalharness.backends.tokens import Codec

    tokenizer = AutoTokenizer.from_pretrained(tiny, padding_side="left")
    config = AutoConfig.from_pretrained(tiny)
    generation = GenerationConfig.from_pretrained(tiny)
    return lambda **rendering: Codec(tokenizer, config, generation, tuple(rendering.items()))


@pytest.fixture
def backend(api_server: Any, tmp_path: Path) -> Iterator[Callable[..., OpenAIBackend]]:
    """A maker of backends for a model of the server, with settings; they are closed at the end."""
    made: list[OpenAIBackend] = []

    def make(model: str, **engine: Any) -> OpenAIBackend:
        entry = {
            name: engine.pop(name) for name in ("api_key_env", "base_url", "chat_template_kwargs") if name in engine
        }
        spec = ModelSpec("m", "openai", model, **{"base_url": api_server.url, **entry}, engine={"timeout": 5, **engine})
        one = opened(BACKENDS["openai"].resolve(spec), tmp_path / "logs")
        assert isinstance(one, OpenAIBackend) and isinstance(one, Backend)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def _second_process() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@pytest.fixture
def second_server(_second_process: ApiServer) -> ApiServer:
    """Another fake server, with nothing asked of it yet."""
    _second_process.tell("reset")
    return _second_process
