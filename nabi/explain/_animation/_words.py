"""What an animation says, in English and in Korean."""

from collections.abc import Mapping

from nabi._language import Language

__all__ = ["WORDS", "meaning_of"]

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "about": "{cell} with {units} units, {steps} steps. The same weights work at every step.",
        "chain": "The network, unrolled over time",
        "inside": "Inside the cell,",
        "place": "step {step} of {steps}: {word}",
        "says": "What the model says so far",
        "values": "Every value, unit by unit",
        "share": "gate: 0 is closed, 1 is open",
        "signed": "other values: below zero, zero, above zero",
        "keys": (
            "Keys: space plays and stops, ← → go a step, ↑ ↓ go through the equations of a step, Home and "
            "End go to the first and the last step."
        ),
        "controls": "Play",
        "back": "One step back",
        "next": "One step on",
        "play": "Play",
        "pause": "Pause",
        "slider": "Step",
        "speed": "Speed",
        "step": "Step {step} of {steps}, {word}",
        "mean": "mean {value}",
        "unit": "{name}, unit {unit}, step {step} ({word}): {value}",
        "map": "{name}, {meaning}: {units} units from top to bottom, time from left to right",
        "diagram": "The computation of one step of {cell}, with the values of each unit below each box",
        "input gate": "input gate: how much of the new is written",
        "forget gate": "forget gate: how much of the old is kept",
        "output gate": "output gate: how much is shown",
        "update gate": "update gate: between old and new",
        "reset gate": "reset gate: how much of the old is used",
        "cell state": "cell state: the memory",
        "hidden state": "hidden state: what the step gives on",
        "candidate": "candidate: the new content",
        "gate": "a gate, between 0 and 1",
        "state": "a state, which the next step reads",
        "value": "a value of the step",
    },
    "ko": {
        "about": "유닛 {units}개짜리 {cell}, {steps}단계. 모든 단계가 같은 가중치를 씁니다.",
        "chain": "시간 순서로 펼친 신경망",
        "inside": "셀 안에서 일어나는 일 ·",
        "place": "{steps}단계 중 {step}단계: {word}",
        "says": "여기까지 읽은 모델의 답",
        "values": "유닛별로 본 모든 값",
        "share": "게이트: 0이면 닫힘, 1이면 열림",
        "signed": "그 밖의 값: 음수, 0, 양수",
        "keys": (
            "단축키: 스페이스로 재생·정지, ← → 한 단계씩, ↑ ↓ 한 단계 안의 수식을 하나씩, Home·End 처음과 끝."
        ),
        "controls": "재생",
        "back": "한 단계 뒤로",
        "next": "한 단계 앞으로",
        "play": "재생",
        "pause": "멈춤",
        "slider": "단계",
        "speed": "속도",
        "step": "{steps}단계 중 {step}단계, {word}",
        "mean": "평균 {value}",
        "unit": "{name}, 유닛 {unit}, {step}단계({word}): {value}",
        "map": "{name}, {meaning}: 위에서 아래로 유닛 {units}개, 왼쪽에서 오른쪽으로 시간",
        "diagram": "{cell} 한 단계의 계산. 상자 아래 띠는 유닛별 값",
        "input gate": "입력 게이트: 새 내용을 얼마나 쓸지",
        "forget gate": "망각 게이트: 이전 기억을 얼마나 남길지",
        "output gate": "출력 게이트: 얼마나 내보낼지",
        "update gate": "업데이트 게이트: 이전 것과 새것의 비율",
        "reset gate": "리셋 게이트: 이전 것을 얼마나 참고할지",
        "cell state": "셀 상태: 기억",
        "hidden state": "은닉 상태: 이 단계의 출력",
        "candidate": "후보값: 새로 쓸 내용",
        "gate": "게이트, 0과 1 사이",
        "state": "다음 단계로 넘어가는 상태",
        "value": "이 단계에서 계산한 값",
    },
}

# What the letters of the field stand for; they mean that only where the equations are of that kind.
_GATES = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "z": "update gate",
    "r": "reset gate",
}
_STATES = {"c": "cell state", "h": "hidden state"}
_CANDIDATES = {"g", "n", "h~"}


def meaning_of(name: str, *, share: bool, state: bool) -> str:
    """Return the key of what a value of the equations is, in the tables above."""
    if state:
        return _STATES.get(name, "state")
    if share:
        return _GATES.get(name, "gate")
    return "candidate" if name in _CANDIDATES else "value"
