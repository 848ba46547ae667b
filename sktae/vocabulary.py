"""Words, characters and events as tokens."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Self

import numpy as np
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils.validation import check_array, check_is_fitted

from sktae.parameters import Count, Declared

# What stands for the two tokens that are no words.
_END, _UNKNOWN = "<end>", "<unknown>"
# How texts are split, and what their tokens are joined by.
_SPLIT: dict[str, Callable[[str], list[str]]] = {"word": str.split, "character": list}
_SEPARATOR = {"word": " ", "character": ""}


class Vocabulary(TransformerMixin, Declared):
    """Numbers the words of texts or logs, as tokens for autoencoders of sequences.

    Each word of the training texts is a token, in alphabetical order. The first token, 0, marks the
    end of a text, and the last one stands for all words outside of the vocabulary. In a pipeline,
    an autoencoder with `n_tokens="auto"` takes the tokens from here.

    Parameters
    ----------
    tokenizer : {"word", "character"} or callable, default="word"
        How texts are split: at white space, into characters, or by a function from a text to a list
        of strings. Texts that are lists of strings already are not split.

    end_token : bool, default=True
        Whether a token marks the end of each text. With it, decoded and sampled texts may have
        different lengths, and a text that breaks off too early is an anomaly.

    min_count : int, default=1
        Words that occur less often than this in the training texts are left out of the vocabulary.

    max_words : int or None, default=None
        Size of the vocabulary: only so many words, the most frequent ones, are in it. None for all.

    max_length : int or None, default=None
        Number of tokens, with that of the end, to which longer texts are cut. None is the number in
        the longest training text; then longer texts are refused later.

    Attributes
    ----------
    vocabulary_ : dict
        From each word to its token.

    words_ : ndarray of shape (`n_tokens_`,)
        The word of each token, with "<end>" and "<unknown>" for those that are no words.

    n_tokens_ : int
        Number of tokens, with those for the end and for unknown words.

    end_token_ : int or None
        The token that marks the end, 0; None without `end_token`.

    max_length_ : int
        Number of tokens to which texts are padded.

    See Also
    --------
    TransformerAutoencoder
    AutoregressiveAutoencoder
    RecurrentAutoencoder

    Examples
    --------
    >>> from sktae import Vocabulary
    >>> vocabulary = Vocabulary()
    >>> vocabulary.fit_transform(["open read close", "open close"])
    array([[ 2.,  3.,  1.,  0.],
           [ 2.,  1.,  0., nan]])
    >>> vocabulary.inverse_transform([[2, 3, 3, 1, 0]])
    ['open read read close']
    >>> vocabulary.words_.tolist()
    ['<end>', 'close', 'open', 'read', '<unknown>']
    """

    tokenizer: Annotated[Any, callable] | Literal["word", "character"] = "word"
    end_token: bool = True
    min_count: Count = 1
    max_words: Count | None = None
    max_length: Count | None = None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary.

        Parameters
        ----------
        X : sequence of str or of lists of str
            The training texts, such as a list or a column of a DataFrame.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        rows = self._rows(X)
        words = [self._split(row, number) for number, row in enumerate(rows)]
        counts = Counter(word for text in words for word in text)
        # From the most frequent word to the rarest one; in alphabetical order, if they are equal.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[: self.max_words]
        if counts[ranked[0]] < self.min_count:
            raise ValueError(
                f"min_count={self.min_count} of Vocabulary leaves no word, since the most frequent "
                f"one, {ranked[0]!r}, occurs {counts[ranked[0]]} times."
            )
        kept = sorted(word for word in ranked if counts[word] >= self.min_count)
        ends = int(self.end_token)
        self.vocabulary_ = {word: token for token, word in enumerate(kept, start=ends)}
        self.words_ = np.array([*[_END] * ends, *kept, _UNKNOWN], dtype=object)
        self.n_tokens_ = len(self.words_)
        self.end_token_ = 0 if self.end_token else None
        self.max_length_ = self.max_length or max(map(len, words)) + ends
        texts = isinstance(self.tokenizer, str) and all(isinstance(row, str) for row in rows)
        self._separator = _SEPARATOR[self.tokenizer] if texts else None
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Number the words of texts.

        Parameters
        ----------
        X : sequence of str or of lists of str
            The texts.

        Returns
        -------
        tokens : ndarray of shape (n_samples, `max_length_`)
            Their tokens. Shorter texts are filled up with NaN.
        """
        check_is_fitted(self)
        rows, unknown = self._rows(X), self.n_tokens_ - 1
        tokens = np.full((len(rows), self.max_length_), np.nan)
        for number, row in enumerate(rows):
            text = [self.vocabulary_.get(word, unknown) for word in self._split(row, number)]
            text += [] if self.end_token_ is None else [self.end_token_]
            if len(text) > self.max_length_ and self.max_length is None:
                raise ValueError(
                    f"Row {number} of X has {len(text)} tokens, but Vocabulary was fitted on texts "
                    f"of up to {self.max_length_}; set max_length, to which longer ones are cut."
                )
            tokens[number, : len(text)] = text[: self.max_length_]
        return tokens

    def inverse_transform(self, X: Any) -> list[Any]:
        """Turn tokens into texts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps) or (n_samples, n_steps, 1)
            Tokens, as from `transform`, or as decoded or sampled by an autoencoder. NaN is left
            out, and so is everything from the first token for the end on.

        Returns
        -------
        texts : list of str or of lists of str
            Strings, if the training texts were strings that Vocabulary itself has split, else lists
            of words.
        """
        check_is_fitted(self)
        X = check_array(X, allow_nd=True, ensure_all_finite="allow-nan", input_name="X")
        if X.ndim > 2 and X.shape[2:] != (1,):
            raise ValueError(f"Sequences of tokens have one channel, but X has shape {X.shape}.")
        X = X.reshape(len(X), -1)
        invalid = X[(np.floor(X) != X) & ~np.isnan(X) | (X < 0)]
        if len(invalid):
            raise ValueError(f"Tokens are integers from 0 on, but X holds {invalid[0]:g}.")
        return [self._text(row[~np.isnan(row)]) for row in X]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns of the tokens.

        Parameters
        ----------
        input_features : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        names : ndarray of shape (`max_length_`,)
            "token0", "token1" and so on. The words are in `words_`.
        """
        check_is_fitted(self)
        return np.array([f"token{step}" for step in range(self.max_length_)], dtype=object)

    def _rows(self, X: Any) -> list[Any]:
        """Return texts as a list; raise unless there are any."""
        wanted = "X of Vocabulary must be a list of texts, or of lists of words"
        if isinstance(X, str):
            raise ValueError(f"{wanted}. Got the string {X!r} instead; put it into a list.")
        if hasattr(X, "columns"):
            raise ValueError(
                f"{wanted}. Got a table instead; pass one of its columns, as X['log']."
            )
        if not hasattr(X, "__iter__") or isinstance(X, dict):
            raise ValueError(f"{wanted}. Got {X!r} instead.")
        rows = list(X)
        if not rows:
            raise ValueError(f"{wanted}. Got {X!r} instead, which is empty.")
        return rows

    def _split(self, row: Any, number: int) -> list[str]:
        """Return the words of a row of X."""
        if isinstance(row, str):
            split = self.tokenizer
            words = (_SPLIT[split] if isinstance(split, str) else split)(row)
        elif isinstance(row, Iterable):
            words = list(row)
        else:
            raise ValueError(
                f"Row {number} of X is {row!r}, but Vocabulary takes a string or a list of strings."
            )
        for word in words:
            if not isinstance(word, str):
                raise ValueError(
                    f"Row {number} of X holds {word!r}, but the words of Vocabulary are strings."
                )
        if not len(words):
            raise ValueError(f"Row {number} of X, {row!r}, has no words; leave it out.")
        return list(map(str, words))

    def _text(self, tokens: np.ndarray) -> Any:
        """Return the text of a row of tokens."""
        if self.end_token_ is not None:
            tokens = tokens[: np.append(tokens, self.end_token_).tolist().index(self.end_token_)]
        words = self.words_[np.minimum(tokens, self.n_tokens_ - 1).astype(int)].tolist()
        return words if self._separator is None else self._separator.join(words)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
