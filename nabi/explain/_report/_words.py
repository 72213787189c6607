"""What a report says, in English and in Korean."""

from collections.abc import Callable, Mapping

from nabi._language import Language

__all__ = ["Say", "speaker"]

Say = Callable[..., str]
"""Takes the key of a message and its values."""

_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "{name}: what the model does",
        "footer": (
            "Made by nabi. Everything on this page was computed from the model and the data named on it."
        ),
        "model": "The model",
        "figures": "How good it is",
        "confusion": "What it takes for what",
        "estimates": "What it estimates",
        "estimates told": "Estimated against right numbers of {rows} rows; on the line all would be right.",
        "right examples": "Right answers of which it is sure",
        "wrong examples": "Wrong answers of which it is sure",
        "examples": "Examples",
        "read": "What it read",
        "writes": "What it writes",
        "next": "What may come next",
        "memory": "How far it remembers",
        "training": "How it was trained",
        "settings": "Settings",
        "kind": "Kind",
        "cell": "Cell",
        "units": "Units",
        "layers": "Recurrent layers",
        "parameters": "Parameters",
        "classes": "Classes",
        "seconds": "Training time in seconds",
        "file": "File",
        "measured now": "Measured for this page on {rows}.",
        "measured then": (
            "Measured after the training on what was held out; nothing was measured for this page."
        ),
        "rows": "{count} rows",
        "the data given": "the data given",
        "figure": "Figure",
        "value": "Value",
        "class": "Class",
        "precision": "Precision",
        "recall": "Recall",
        "rows of it": "Rows",
        "accuracy": "Accuracy",
        "macro F1": "Macro F1",
        "weighted F1": "Weighted F1",
        "micro F1": "Micro F1",
        "error rate": "Label error rate",
        "exact": "Right from beginning to end",
        "simple": "Simple models on the same data ({measure})",
        "right": "right",
        "said": "said",
        "confusion caption": (
            "Counts of rows. Blue is right, orange is wrong, stronger for a larger share of the class."
        ),
        "answer": "It says {said} ({share}); right is {right}.",
        "decision": "It says {said}, with a probability of {share}.",
        "words": (
            "Underlined blue words speak for “{label}”, dotted orange ones against it. The stronger the "
            "colour, the more a word moved the result (integrated gradients of the log-odds)."
        ),
        "words of answers": (
            "Underlined blue words speak for the answer, dotted orange ones against it. The stronger the "
            "colour, the more a word moved the result."
        ),
        "steps about": (
            "What each step contributed to “{label}”: the gradient of its log-odds times the difference of "
            "the step from the average step. Above zero, or blue and underlined, it speaks for “{label}”; "
            "below, or orange and dotted, against it. It is that of the network alone."
        ),
        "steps told": "Step {step} of {steps} moved the decision about “{label}” most.",
        "step": "step",
        "first": "First step",
        "last": "Last step",
        "each step": "The probability of each class at each step; the table has the most probable one.",
        "log-odds": "Contribution to the log-odds",
        "looked": "Where it looked in the picture for each word of “{text}”: the lighter, the more.",
        "curve": "Probability of “{label}” after each word",
        "curve told": (
            "Probability of {label} after each word: {first} before the first, {last} after the last."
        ),
        "word": "word",
        "name": "Name",
        "memory about": (
            "The gradient of the first recurrent layer's last output with respect to its input k steps "
            "earlier, on what it read here, relative to k = 0. Where the line is high, what was read so "
            "long ago still matters."
        ),
        "memory told": (
            "The gradient falls to a tenth after {tenth} steps; {steps} steps back it is {last} times that "
            "at k = 0."
        ),
        "memory never": (
            "The gradient does not fall to a tenth within {steps} steps; at the end it is {last} times "
            "that at k = 0."
        ),
        "steps back": "steps back",
        "gradient": "Gradient, relative, logarithmic",
        "epoch": "epoch",
        "training told": "{name} over {epochs} epochs: {first} in the first, {last} in the last.",
        "method": "Method",
        "covered": "Observations in the interval of {level}",
        "forecast told": "Observed and forecast values over {steps} steps.",
        "observed": "observed",
        "forecast": "forecast",
        "ahead": "steps ahead",
        "forecast of": "Forecast of {name}",
        "past": "steps before the forecast",
        "sensitivity": "How far the first step ahead moves when one past observation is larger by one",
        "sensitivity told": (
            "Influence of past observations on the first step ahead; the strongest is {step} steps before "
            "the forecast."
        ),
        "source": "Source",
        "result": "Result",
        "nats": "Nats a code",
        "nats a frame": "Nats a frame",
        "highest": "highest note",
        "lowest": "lowest note",
        "music told": "{frames} frames of music, with notes from MIDI {low} to {high}.",
        "perplexity": "Perplexity",
        "bits": "Bits a code",
        "loss": "Loss",
        "translation": "It translates “{source}”:",
        "caption": "It describes {source}:",
        "wrote": "Written by the model, from “{start}” on (temperature 0.8).",
    },
    "ko": {
        "title": "{name}: 이 모델이 하는 일",
        "footer": "nabi가 만든 문서입니다. 이 페이지의 모든 값은 표시된 모델과 데이터로 계산했습니다.",
        "model": "모델",
        "figures": "얼마나 잘하는가",
        "confusion": "무엇을 무엇으로 착각하는가",
        "estimates": "추정값",
        "estimates told": "{rows}개 행의 추정값과 실제 값. 선 위의 점은 정확히 맞은 값입니다.",
        "right examples": "확신했고 맞힌 예",
        "wrong examples": "확신했지만 틀린 예",
        "examples": "예시",
        "read": "무엇을 보고 판단했는가",
        "writes": "모델이 쓴 글",
        "next": "다음에 올 것",
        "memory": "얼마나 멀리 기억하는가",
        "training": "학습 과정",
        "settings": "설정",
        "kind": "종류",
        "cell": "셀",
        "units": "유닛 수",
        "layers": "순환층 수",
        "parameters": "파라미터 수",
        "classes": "분류 항목",
        "seconds": "학습 시간(초)",
        "file": "파일",
        "measured now": "이 페이지를 만들면서 {rows}로 측정했습니다.",
        "measured then": (
            "학습이 끝났을 때 따로 떼어 둔 데이터로 측정한 값입니다. 이 페이지를 위해 새로 측정하지는 "
            "않았습니다."
        ),
        "rows": "데이터 {count}개",
        "the data given": "주어진 데이터",
        "figure": "지표",
        "value": "값",
        "class": "항목",
        "precision": "정밀도",
        "recall": "재현율",
        "rows of it": "개수",
        "accuracy": "정확도",
        "macro F1": "매크로 F1",
        "weighted F1": "가중 F1",
        "micro F1": "마이크로 F1",
        "error rate": "레이블 오류율",
        "exact": "처음부터 끝까지 맞힌 비율",
        "simple": "같은 데이터에서 단순한 모델들의 성적({measure})",
        "right": "정답",
        "said": "예측",
        "confusion caption": (
            "개수입니다. 파란색은 맞은 것, 주황색은 틀린 것이고, 그 항목에서 차지하는 비율이 클수록 진합니다."
        ),
        "answer": "예측은 {said}({share}), 정답은 {right}.",
        "decision": "예측은 {said}, 확률은 {share}.",
        "words": (
            "파란 밑줄은 ‘{label}’ 쪽으로, 주황 점선은 그 반대쪽으로 작용한 단어입니다. 색이 진할수록 "
            "결과에 크게 작용했습니다(로그 오즈의 적분 기울기)."
        ),
        "words of answers": (
            "파란 밑줄은 예측한 답 쪽으로, 주황 점선은 그 반대쪽으로 작용한 단어입니다. 색이 진할수록 크게 "
            "작용했습니다."
        ),
        "steps about": (
            "각 단계가 ‘{label}’ 판정에 기여한 정도입니다(로그 오즈의 기울기 × 평균 단계와의 차이). 0보다 "
            "크거나 파란 밑줄이면 ‘{label}’ 쪽으로, 0보다 작거나 주황 점선이면 그 반대쪽으로 작용했습니다. "
            "신경망만 본 값입니다."
        ),
        "steps told": "{steps}단계 가운데 {step}단계가 ‘{label}’ 판정에 가장 크게 작용했습니다.",
        "step": "단계",
        "first": "첫 단계",
        "last": "마지막 단계",
        "each step": "단계마다 각 항목의 확률입니다. 표에는 가장 확률이 높은 항목이 있습니다.",
        "log-odds": "로그 오즈에 기여한 정도",
        "looked": "‘{text}’의 단어를 쓸 때마다 그림에서 본 곳입니다. 밝을수록 많이 본 곳입니다.",
        "curve": "단어를 하나씩 읽을 때 ‘{label}’의 확률",
        "curve told": "단어를 읽을 때마다의 {label} 확률: 읽기 전 {first}, 다 읽은 뒤 {last}.",
        "word": "단어",
        "name": "이름",
        "memory about": (
            "여기서 읽은 데이터에서, 첫 순환층의 마지막 출력을 k단계 전 입력으로 미분한 기울기의 "
            "크기입니다(k = 0일 때를 1로). 선이 높을수록 오래전에 읽은 것이 아직 영향을 준다는 뜻입니다."
        ),
        "memory told": "기울기는 {tenth}단계 전에서 10분의 1로 줄고, {steps}단계 전에서는 {last}배입니다.",
        "memory never": "{steps}단계 안에서는 기울기가 10분의 1까지 줄지 않고, 마지막에는 {last}배입니다.",
        "steps back": "몇 단계 전",
        "gradient": "상대 기울기(로그 눈금)",
        "epoch": "에포크",
        "training told": "{epochs}에포크 동안의 {name}: 처음 {first}, 마지막 {last}.",
        "method": "방법",
        "covered": "{level} 구간에 들어온 관측값",
        "forecast told": "{steps}단계의 관측값과 예측값.",
        "observed": "관측",
        "forecast": "예측",
        "ahead": "몇 단계 뒤",
        "forecast of": "{name} 예측",
        "past": "예측 시점으로부터 몇 단계 전",
        "sensitivity": "과거 관측값 하나가 1만큼 클 때 바로 다음 예측이 움직이는 정도",
        "sensitivity told": "과거 관측값이 바로 다음 예측에 주는 영향. 가장 큰 것은 {step}단계 전입니다.",
        "source": "원문",
        "result": "결과",
        "nats": "코드당 내트",
        "nats a frame": "프레임당 내트",
        "highest": "가장 높은 음",
        "lowest": "가장 낮은 음",
        "music told": "음악 {frames}프레임, 음은 MIDI {low}번에서 {high}번까지입니다.",
        "perplexity": "퍼플렉시티",
        "bits": "코드당 비트",
        "loss": "손실",
        "translation": "“{source}”의 번역:",
        "caption": "{source}에 대한 설명:",
        "wrote": "“{start}” 다음을 모델이 이어 쓴 글입니다(온도 0.8).",
    },
}


def speaker(language: Language) -> Say:
    """Return what says the messages in a language."""
    words = _WORDS[language]

    def say(key: str, **values: object) -> str:
        return words[key].format(**values)

    return say
