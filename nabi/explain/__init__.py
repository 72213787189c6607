"""Pictures of recurrent networks: gradients over time, gates, attributions, attention, clips, forecasts.

Also a check that says what in a network became NaN or infinite first.
"""

from nabi.explain._animation._animation import animation, check_animation as check_animation
from nabi.explain._animation._numbers import read_sequence as read_sequence
from nabi.explain._animation._of_models import animation_of, cell_animation
from nabi.explain._attention import Aligned, attention_picture, attention_text
from nabi.explain._base_labels_picture import base_labels_picture
from nabi.explain._captions_picture import CaptionedImage, captions_picture
from nabi.explain._clips_picture import clips_picture
from nabi.explain._forecast_picture import forecast_picture
from nabi.explain._forecast_reading_picture import forecast_reading_picture
from nabi.explain._gates import gates, gates_picture
from nabi.explain._gradient import gradient_distance, gradient_distance_picture
from nabi.explain._peak_memory import (  # for other rooms
    fill_memory as fill_memory,
    peak_memory as peak_memory,
)
from nabi.explain._piano_roll import piano_roll_picture
from nabi.explain._reading import Reading, read_text
from nabi.explain._reading_picture import reading_picture
from nabi.explain._report._report import check_report as check_report, report
from nabi.explain._unrolling import Unrolling, unrolling_memory, unrolling_picture
from nabi.training import check_finite

__all__ = [
    "Aligned",
    "CaptionedImage",
    "Reading",
    "Unrolling",
    "animation",
    "animation_of",
    "attention_picture",
    "attention_text",
    "base_labels_picture",
    "captions_picture",
    "cell_animation",
    "check_finite",
    "clips_picture",
    "forecast_picture",
    "forecast_reading_picture",
    "gates",
    "gates_picture",
    "gradient_distance",
    "gradient_distance_picture",
    "piano_roll_picture",
    "read_text",
    "reading_picture",
    "report",
    "unrolling_memory",
    "unrolling_picture",
]
