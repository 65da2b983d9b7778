"""Targets in words: captions, questions with their answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from muybridge.data.targets.base import Row, Target, find_number
from muybridge.data.targets.padding import pad
from muybridge.data.targets.reading import check_name, parse_json, read_json_file
from muybridge.data.targets.registry import register_target


@register_target
@dataclass(frozen=True)
class Caption(Target):
    """What a clip shows, in one or several sentences that each tell it alone. In a batch: a list of tuples of texts."""

    kind = "caption"
    columns = ("caption",)
    title = "what the clip shows in words: a text, or a JSON list of texts that each describe it"

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.texts:
            raise ValueError("a caption has no texts; leave it out where there is none")
        for text in self.texts:
            check_name(text, "a caption")

    @classmethod
    def read(cls, row: Row) -> Self | None:
        value = row.get("caption")
        if isinstance(value, str) and value.lstrip().startswith('["'):
            value = parse_json(value)
        if value is None:
            return None
        if not isinstance(value, str | list):
            raise ValueError(f"caption is {value!r}; it must be a text or a list of texts")
        return cls((value,) if isinstance(value, str) else tuple(value))

    def to_row(self) -> dict[str, Any]:
        return {"caption": self.texts[0] if len(self.texts) == 1 else list(self.texts)}

    @classmethod
    def encode(cls, target: Target | None, _ids: Mapping[str, int]) -> tuple[str, ...]:
        return target.texts if isinstance(target, Caption) else ()

    @classmethod
    def collate(cls, encoded: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return list(encoded)


class QuestionAnswer(NamedTuple):
    """A question about a clip. The answer is None where it is not known, as in a test set that is kept secret."""

    question: str
    answer: str | None = None


@register_target
@dataclass(frozen=True)
class Questions(Target):
    """Questions with their answers. In a batch of clips with up to N: `questions`, a list of tuples of texts; `answers`
    (B, N), the numbers of the answers; `mask` (B, N)."""

    kind = "questions"
    columns = ("questions", "question", "answer")
    title = 'a question and its answer, or `questions`: a list of {"question", "answer"}'

    pairs: tuple[QuestionAnswer, ...]

    def __post_init__(self) -> None:
        for question, answer in self.pairs:
            check_name(question, "a question")
            if answer is not None:
                check_name(answer, f"the answer to {question!r}")

    @classmethod
    def read(cls, row: Row) -> Self | None:
        """Pairs from a list, a JSON file with one, or the columns `question` and `answer`."""
        value = parse_json(row.get("questions"))
        if isinstance(value, str):
            value = read_json_file(row.find_file(value), "questions")
        pairs = [] if value is None else value
        if not isinstance(pairs, list) or not all(isinstance(pair, Mapping) and "question" in pair for pair in pairs):
            raise ValueError('questions must be a list of objects such as {"question": "how many?", "answer": "2"}')
        if row.get("question") is not None:
            pairs = [*pairs, {"question": row.get("question"), "answer": row.get("answer")}]
        elif row.get("answer") is not None:
            raise ValueError(f"there is an answer, {row.get('answer')!r}, and no question")
        if not pairs and value != []:
            return None
        return cls(tuple(read_pair(pair) for pair in pairs))

    def to_row(self) -> dict[str, Any]:
        return {"questions": [{"question": pair.question, "answer": pair.answer} for pair in self.pairs]}

    @classmethod
    def encode(cls, target: Target | None, ids: Mapping[str, int]) -> dict[str, Any]:
        pairs = target.pairs if isinstance(target, Questions) else ()
        answers = np.array([find_number(pair.answer, ids, "answer") for pair in pairs], dtype=np.int64)
        return {"questions": tuple(pair.question for pair in pairs), "answers": answers}

    @classmethod
    def collate(cls, encoded: Sequence[dict[str, Any]]) -> Any:
        answers, mask = pad([each["answers"] for each in encoded])
        return {"questions": [each["questions"] for each in encoded], "answers": answers, "mask": mask}

    def get_names(self) -> Iterable[str]:
        return (pair.answer for pair in self.pairs if pair.answer is not None)


def read_pair(pair: Mapping[str, Any]) -> QuestionAnswer:
    answer = pair.get("answer")
    return QuestionAnswer(str(pair["question"]), None if answer is None or answer == "" else str(answer))
