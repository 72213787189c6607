"""Sequence data: texts, tables and labels, captioned images, notes and MIDI files, windows, padding,
small series.

Also available under its Keras name, `nabi.preprocessing.sequence`.
"""

# `name as name`: for other packages of nabi. `__all__` lists the public names.
from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.data._data_sets import (
        random_order as random_order,
    )
    from nabi.data._music._midi import (
        read_midi,
        write_midi,
    )
    from nabi.data._music._midi_folder import (
        MidiFolder,
        midi_files,
        read_midi_folder,
    )
    from nabi.data._music._midi_frames import (
        MidiMusic,
        check_steps as check_steps,
        read_midi_frames,
        write_midi_frames,
    )
    from nabi.data._music._notes import (
        NABIYA,
        NOTES,
        decode_notes,
        encode_notes,
        note_beats,
        note_pitch,
    )
    from nabi.data._pictures._captions import (
        CaptionedImages,
        keep_readable as keep_readable,
        read_captioned_images,
    )
    from nabi.data._pictures._images import (
        fit_images,
        read_image,
    )
    from nabi.data._series._numbers import (
        NumberSeries,
        number_series,
    )
    from nabi.data._series._timeseries import (
        TimeseriesGenerator,
    )
    from nabi.data._series._timeseries_dataset import (
        TimeseriesDataset,
        timeseries_dataset_from_array,
    )
    from nabi.data._series._ts_file import (
        TsFile,
        TsHeader as TsHeader,
        is_ts_file as is_ts_file,
        read_ts,
        read_ts_header as read_ts_header,
    )
    from nabi.data._series._windows import (
        windows,
    )
    from nabi.data._sound._recordings import (
        Recordings,
        read_recordings,
        sound_files,
    )
    from nabi.data._sound._resampling import (
        Resampler,
        resample,
    )
    from nabi.data._sound._sounds import (
        Sound,
        read_sound,
        write_wav,
    )
    from nabi.data._sound._wav_format import (
        OPEN_ENDED as OPEN_ENDED,
        WavFormat as WavFormat,
        read_header as read_header,
    )
    from nabi.data._tables._frames import (
        KEYS,
        LOWEST,
        Frame,
        Piece,
        frames_of,
        read_frames,
        roll_of,
    )
    from nabi.data._tables._labels import (
        Labels,
    )
    from nabi.data._tables._pair_splitting import (
        apart as apart,
    )
    from nabi.data._tables._pairs import (
        Pairs,
        read_pairs,
    )
    from nabi.data._tables._splitting import (
        stratified_split,
    )
    from nabi.data._tables._tables import (
        Table,
        read_table,
        stream_table,
        table_columns,
    )
    from nabi.data._text._characters import (
        Characters,
    )
    from nabi.data._text._length_groups import (
        LengthGroups,
    )
    from nabi.data._text._one_hot import (
        one_hot,
    )
    from nabi.data._text._padding import (
        pad_sequences,
    )
    from nabi.data._text._text_units import (
        CONTINUED as CONTINUED,
        RESERVED as RESERVED,
        SPACE as SPACE,
    )
    from nabi.data._text._tokenizer import (
        Tokenizer,
        text_to_word_sequence,
        tokenizer_from_json,
    )
    from nabi.data._text._vocabulary import (
        Token,
        Vocabulary,
    )
    from nabi.data._text_files import (
        TextFile as TextFile,
        check_file as check_file,
    )
else:
    # A program loads the kinds of data that it has, and files are read before torch would be there.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.data._data_sets": [
                "random_order",
            ],
            "nabi.data._music._midi": [
                "read_midi",
                "write_midi",
            ],
            "nabi.data._music._midi_folder": [
                "MidiFolder",
                "midi_files",
                "read_midi_folder",
            ],
            "nabi.data._music._midi_frames": [
                "MidiMusic",
                "check_steps",
                "read_midi_frames",
                "write_midi_frames",
            ],
            "nabi.data._music._notes": [
                "NABIYA",
                "NOTES",
                "decode_notes",
                "encode_notes",
                "note_beats",
                "note_pitch",
            ],
            "nabi.data._pictures._captions": [
                "CaptionedImages",
                "keep_readable",
                "read_captioned_images",
            ],
            "nabi.data._pictures._images": [
                "fit_images",
                "read_image",
            ],
            "nabi.data._series._numbers": [
                "NumberSeries",
                "number_series",
            ],
            "nabi.data._series._timeseries": [
                "TimeseriesGenerator",
            ],
            "nabi.data._series._timeseries_dataset": [
                "TimeseriesDataset",
                "timeseries_dataset_from_array",
            ],
            "nabi.data._series._ts_file": [
                "TsFile",
                "TsHeader",
                "is_ts_file",
                "read_ts",
                "read_ts_header",
            ],
            "nabi.data._series._windows": [
                "windows",
            ],
            "nabi.data._sound._recordings": [
                "Recordings",
                "read_recordings",
                "sound_files",
            ],
            "nabi.data._sound._resampling": [
                "Resampler",
                "resample",
            ],
            "nabi.data._sound._sounds": [
                "Sound",
                "read_sound",
                "write_wav",
            ],
            "nabi.data._sound._wav_format": [
                "OPEN_ENDED",
                "WavFormat",
                "read_header",
            ],
            "nabi.data._tables._frames": [
                "KEYS",
                "LOWEST",
                "Frame",
                "Piece",
                "frames_of",
                "read_frames",
                "roll_of",
            ],
            "nabi.data._tables._labels": [
                "Labels",
            ],
            "nabi.data._tables._pair_splitting": [
                "apart",
            ],
            "nabi.data._tables._pairs": [
                "Pairs",
                "read_pairs",
            ],
            "nabi.data._tables._splitting": [
                "stratified_split",
            ],
            "nabi.data._tables._tables": [
                "Table",
                "read_table",
                "stream_table",
                "table_columns",
            ],
            "nabi.data._text._characters": [
                "Characters",
            ],
            "nabi.data._text._length_groups": [
                "LengthGroups",
            ],
            "nabi.data._text._one_hot": [
                "one_hot",
            ],
            "nabi.data._text._padding": [
                "pad_sequences",
            ],
            "nabi.data._text._text_units": [
                "CONTINUED",
                "RESERVED",
                "SPACE",
            ],
            "nabi.data._text._tokenizer": [
                "Tokenizer",
                "text_to_word_sequence",
                "tokenizer_from_json",
            ],
            "nabi.data._text._vocabulary": [
                "Token",
                "Vocabulary",
            ],
            "nabi.data._text_files": [
                "TextFile",
                "check_file",
            ],
        },
    )

__all__ = [
    "KEYS",
    "LOWEST",
    "NABIYA",
    "NOTES",
    "CaptionedImages",
    "Characters",
    "Frame",
    "Labels",
    "LengthGroups",
    "MidiFolder",
    "MidiMusic",
    "NumberSeries",
    "Pairs",
    "Piece",
    "Recordings",
    "Resampler",
    "Sound",
    "Table",
    "TimeseriesDataset",
    "TimeseriesGenerator",
    "Token",
    "Tokenizer",
    "TsFile",
    "Vocabulary",
    "decode_notes",
    "encode_notes",
    "fit_images",
    "frames_of",
    "midi_files",
    "note_beats",
    "note_pitch",
    "number_series",
    "one_hot",
    "pad_sequences",
    "read_captioned_images",
    "read_frames",
    "read_image",
    "read_midi",
    "read_midi_folder",
    "read_midi_frames",
    "read_pairs",
    "read_recordings",
    "read_sound",
    "read_table",
    "read_ts",
    "resample",
    "roll_of",
    "sound_files",
    "stratified_split",
    "stream_table",
    "table_columns",
    "text_to_word_sequence",
    "timeseries_dataset_from_array",
    "tokenizer_from_json",
    "windows",
    "write_midi",
    "write_midi_frames",
    "write_wav",
]
