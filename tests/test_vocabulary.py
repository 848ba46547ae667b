"""Words, characters and events as tokens: Vocabulary, alone and in front of autoencoders."""

import pickle

import numpy as np
import pandas as pd
import polars
import pytest
from shared import quick
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktae import AutoregressiveAutoencoder, Vocabulary, load, save, to_onnx

rng = np.random.default_rng(0)
LOGS = [["open", *["read"] * int(n), "close"] for n in rng.integers(1, 4, 40)]
TEXTS = [" ".join(log) for log in LOGS]


@parametrize_with_checks([Vocabulary()])
def test_scikit_learn(estimator, check):
    """The checks that there are for text pass."""
    check(estimator)


@pytest.mark.parametrize(
    "name",
    [
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_scikit_learn_without_rows(name):
    """Checks pass that scikit-learn leaves out for text, though they need no rows."""
    getattr(estimator_checks, name)("Vocabulary", Vocabulary())


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (TEXTS, {}),
        (TEXTS, {"end_token": False}),
        (TEXTS, {"tokenizer": "character"}),
        (LOGS, {}),
        (LOGS, {"tokenizer": "character"}),
        (["<end> a", "é  ", "0"], {"tokenizer": "character"}),
        ([["two words", "b"], ["two words"]], {}),
    ],
)
def test_known_texts_come_back(X, params):
    """What has been numbered is the same after it, whatever it was."""
    vocabulary = Vocabulary(**params)
    tokens = vocabulary.fit_transform(X)
    assert vocabulary.inverse_transform(tokens) == X
    assert vocabulary.inverse_transform(tokens[:, :, np.newaxis]) == X
    for again in (clone(vocabulary).fit(X), pickle.loads(pickle.dumps(vocabulary))):
        np.testing.assert_array_equal(again.transform(X), tokens)
    assert tokens.shape == (len(X), vocabulary.max_length_)
    assert len(vocabulary.get_feature_names_out()) == vocabulary.max_length_
    assert len(vocabulary.words_) == vocabulary.n_tokens_
    assert all(vocabulary.words_[n] == word for word, n in vocabulary.vocabulary_.items())


@pytest.mark.parametrize("container", [tuple, np.array, pd.Series, polars.Series])
def test_containers_agree(container):
    """Texts, and lists of words, may come in whatever holds them."""
    expected = Vocabulary().fit_transform(TEXTS)
    np.testing.assert_array_equal(Vocabulary().fit_transform(container(TEXTS)), expected)
    if container is not np.array:
        np.testing.assert_array_equal(Vocabulary().fit_transform(container(LOGS)), expected)
    table = Vocabulary().set_output(transform="pandas").fit_transform(TEXTS)
    np.testing.assert_array_equal(table, expected)


def test_every_parameter_counts():
    """Rare words are unknown, long texts are cut, the end may be left out, functions split."""
    X = ["b a b", "b a c", "b"]
    assert Vocabulary().fit(X).words_.tolist() == ["<end>", "a", "b", "c", "<unknown>"]
    assert Vocabulary(end_token=False).fit(X).words_.tolist() == ["a", "b", "c", "<unknown>"]
    assert Vocabulary(min_count=2).fit(X).vocabulary_ == {"a": 1, "b": 2}
    assert Vocabulary(max_words=1).fit(X).vocabulary_ == {"b": 1}
    assert Vocabulary().fit(X).end_token_ == 0
    assert Vocabulary(end_token=False).fit(X).end_token_ is None
    rare = Vocabulary(min_count=2).fit(X)
    assert rare.inverse_transform(rare.transform(["a c d"])) == ["a <unknown> <unknown>"]
    assert rare.inverse_transform([[1, 99, np.nan, 2, 0, 1]]) == ["a <unknown> b"]
    short = Vocabulary(max_length=2).fit(X)
    np.testing.assert_array_equal(short.transform(["b a c", "b"]), [[2, 1], [2, 0]])
    assert Vocabulary(max_length=9).fit_transform(X).shape == (3, 9)
    commas = Vocabulary(tokenizer=lambda text: text.split(",")).fit(["a b,c"])
    assert commas.inverse_transform(commas.transform(["c,a b"])) == [["c", "a b"]]


@pytest.mark.parametrize("X", [LOGS, TEXTS, pd.Series(TEXTS)], ids=["logs", "texts", "series"])
def test_pipelines_take_words(X, tmp_path):
    """Autoencoders get the tokens, their number included; codes become words again, files too."""
    model = quick(AutoregressiveAutoencoder, n_tokens="auto", max_steps=150)
    pipe = make_pipeline(Vocabulary(), model).fit(X)
    assert pipe[-1].n_tokens_ == pipe[0].n_tokens_ - 1  # no word was unknown
    decoded = pipe.inverse_transform(pipe.transform(X))
    assert np.mean([one == other for one, other in zip(decoded, X, strict=True)]) > 0.9
    odd = ["open close open read", "open quit close"]
    odd = [text.split() for text in odd] if X is LOGS else odd
    assert (pipe.score_samples(odd) < pipe.score_samples(X).min()).all()
    save(pipe, tmp_path / "pipe.sktae")
    again = load(tmp_path / "pipe.sktae")
    assert again.inverse_transform(pipe.transform(X)) == decoded
    np.testing.assert_array_equal(again.score_samples(odd), pipe.score_samples(odd))
    search = GridSearchCV(pipe, {"vocabulary__min_count": [1, 5]}, cv=2, error_score="raise")
    search.set_params(estimator__autoregressiveautoencoder__max_steps=3)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match="Vocabulary, has no export to ONNX"):
        to_onnx(pipe, tmp_path / "pipe.onnx")


def test_words_left_out_are_trained_as_one_token():
    """With rare words in training, an autoencoder learns where unknown words stand."""
    X = [f"open x{n} close" for n in range(40)]
    pipe = make_pipeline(
        Vocabulary(min_count=2), quick(AutoregressiveAutoencoder, n_tokens="auto", max_steps=100)
    ).fit(X)
    assert pipe[-1].n_tokens_ == pipe[0].n_tokens_
    assert pipe.inverse_transform(pipe.transform(["open y close"])) == ["open <unknown> close"]
    assert pipe.score(["open y close"]) > pipe.score(["open close"]) + 1


def test_a_text_that_breaks_off_is_an_anomaly():
    """With an end token, a text without its last word is unlikely; without one, it is not."""
    surprise = {}
    for end_token in (True, False):
        vocabulary = Vocabulary(end_token=end_token)
        model = quick(AutoregressiveAutoencoder, n_components=2, order=2)
        model.set_params(n_tokens="auto", max_steps=200)
        pipe = make_pipeline(vocabulary, model).fit(TEXTS)
        surprise[end_token] = pipe.score(TEXTS) - pipe.score(["open read", "open read read"])
    assert surprise[True] > 0.3 > surprise[False]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (None, "must be a list of texts, or of lists of words. Got None instead"),
        ("open read", "Got the string 'open read' instead; put it into a list"),
        ([], r"Got \[\] instead, which is empty"),
        (7, "Got 7 instead"),
        (pd.DataFrame({"log": TEXTS}), r"Got a table instead; pass one of its columns, as X\['log"),
        ([["go"], 5], "Row 1 of X is 5, but Vocabulary takes a string or a list of strings"),
        (pd.Series(["go", None]), "Row 1 of X is (None|nan), but Vocabulary takes a string or a"),
        ([["go", 5]], "Row 0 of X holds 5, but the words of Vocabulary are strings"),
        (["go", "  "], "Row 1 of X, '  ', has no words; leave it out"),
        ([["go"], []], r"Row 1 of X, \[\], has no words; leave it out"),
    ],
)
def test_refuses(X, message):
    """What is no text is refused by fit and by transform, with its row and its value."""
    for method in (Vocabulary().fit, Vocabulary().fit(TEXTS).transform):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_refuses_what_cannot_be_meant():
    """Parameters, texts and tokens that cannot be meant are refused, with their values."""
    vocabulary = Vocabulary().fit(TEXTS)
    with pytest.raises(
        ValueError, match=r"Row 1 of X has 7 tokens, but Vocabulary .* up to 6; set"
    ):
        vocabulary.transform(["open", "open read read read read close"])
    with pytest.raises(ValueError, match="min_count=99 of Vocabulary leaves no word, since the mo"):
        Vocabulary(min_count=99).fit(["a a b"])
    for tokens, message in [
        ([[0.5]], "Tokens are integers from 0 on, but X holds 0.5"),
        ([[-1]], "Tokens are integers from 0 on, but X holds -1"),
        (np.zeros((2, 3, 2)), r"Sequences of tokens have one channel, but X has shape \(2, 3, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            vocabulary.inverse_transform(tokens)
    with pytest.raises(ValueError, match="'tokenizer' parameter of Vocabulary must be a callable"):
        Vocabulary(tokenizer="line").fit(TEXTS)
    assert pickle.dumps(vocabulary)
    with pytest.raises(TypeError, match=r"A file cannot hold Vocabulary.tokenizer"):
        save(Vocabulary(tokenizer=str.split).fit(TEXTS), "never.sktae")
