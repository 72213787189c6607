"""Sequence data: texts, tables and labels, captioned images, clips, notes and MIDI files, windows, padding,
small series.

Also available under its Keras name, `nabi.preprocessing.sequence`.
"""

# `name as name`: for other packages of nabi. `__all__` lists the public names.
from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.data._clips._folder import (
        Clips,
        find_clips as find_clips,
        keep_readable_clips as keep_readable_clips,
        read_clips,
    )
    from nabi.data._clips._frames import (
        MOST_FRAMES as MOST_FRAMES,
        ClipFrames,
        clip_frames as clip_frames,
        read_clip,
    )
    from nabi.data._clips._moving_shapes import (
        MOTIONS as MOTIONS,
        MovingShapes as MovingShapes,
        make_moving_shapes as make_moving_shapes,
    )
    from nabi.data._data_sets import (
        random_order as random_order,
    )
    from nabi.data._dna._bases import (
        COMPLEMENT as COMPLEMENT,
        DNA_LETTERS,
        SHARES as SHARES,
        UNKNOWN_BASE as UNKNOWN_BASE,
        dna_one_hot,
        dna_words,
        encode_dna,
        reverse_complement,
    )
    from nabi.data._dna._file_names import (
        is_dna_file as is_dna_file,
    )
    from nabi.data._dna._hidden_markov import (
        HiddenMarkovDNA,
        MadeDNA,
        cpg_islands,
        split_genes,
    )
    from nabi.data._dna._sequences import (
        DNASequences,
        read_dna,
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
    from nabi.data._series._frequency import (
        Frequency,
        Time as Time,
    )
    from nabi.data._series._numbers import (
        NumberSeries,
        number_series,
    )
    from nabi.data._series._reading_series import (
        read_series,
    )
    from nabi.data._series._series import (
        Series,
        SeriesColumns,
        SeriesSet,
    )
    from nabi.data._series._series_arrays import (
        series_from_arrays,
    )
    from nabi.data._series._series_line import (
        SeriesLine as SeriesLine,
        read_series_line as read_series_line,
        time_of_line as time_of_line,
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
    from nabi.data._standard_input import (
        STANDARD_INPUT as STANDARD_INPUT,
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
        TABLE_ENDINGS as TABLE_ENDINGS,
        Table,
        is_table as is_table,
        place_of_row as place_of_row,
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
        split_words as split_words,
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
    from nabi.data._text_folder import (
        TEXT_ENDINGS as TEXT_ENDINGS,
        FolderFiles as FolderFiles,
        TextFolder,
        folder_files as folder_files,
        read_text_folder,
    )
    from nabi.data._text_source import (
        source_lines as source_lines,
    )
    from nabi.data._tokens._conll import (
        is_conll_file as is_conll_file,
        read_conll as read_conll,
    )
    from nabi.data._tokens._spans import (
        SCHEMES as SCHEMES,
        Span,
        scheme_of,
        spans_of,
        tags_of,
    )
    from nabi.data._tokens._tagged import (
        TaggedTokens,
        read_tagged,
    )
    from nabi.data._ts_content import is_typescript as is_typescript
else:
    # A program loads the kinds of data that it has, and files are read before torch would be there.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.data._clips._folder": [
                "Clips",
                "find_clips",
                "keep_readable_clips",
                "read_clips",
            ],
            "nabi.data._clips._frames": [
                "MOST_FRAMES",
                "ClipFrames",
                "clip_frames",
                "read_clip",
            ],
            "nabi.data._clips._moving_shapes": [
                "MOTIONS",
                "MovingShapes",
                "make_moving_shapes",
            ],
            "nabi.data._data_sets": [
                "random_order",
            ],
            "nabi.data._dna._bases": [
                "COMPLEMENT",
                "DNA_LETTERS",
                "SHARES",
                "UNKNOWN_BASE",
                "dna_one_hot",
                "dna_words",
                "encode_dna",
                "reverse_complement",
            ],
            "nabi.data._dna._file_names": [
                "is_dna_file",
            ],
            "nabi.data._dna._hidden_markov": [
                "HiddenMarkovDNA",
                "MadeDNA",
                "cpg_islands",
                "split_genes",
            ],
            "nabi.data._dna._sequences": [
                "DNASequences",
                "read_dna",
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
            "nabi.data._series._frequency": [
                "Frequency",
                "Time",
            ],
            "nabi.data._series._numbers": [
                "NumberSeries",
                "number_series",
            ],
            "nabi.data._series._reading_series": [
                "read_series",
            ],
            "nabi.data._series._series": [
                "Series",
                "SeriesColumns",
                "SeriesSet",
            ],
            "nabi.data._series._series_arrays": [
                "series_from_arrays",
            ],
            "nabi.data._series._series_line": [
                "SeriesLine",
                "read_series_line",
                "time_of_line",
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
            "nabi.data._standard_input": [
                "STANDARD_INPUT",
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
                "TABLE_ENDINGS",
                "Table",
                "is_table",
                "place_of_row",
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
                "split_words",
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
            "nabi.data._text_folder": [
                "TEXT_ENDINGS",
                "FolderFiles",
                "TextFolder",
                "folder_files",
                "read_text_folder",
            ],
            "nabi.data._ts_content": ["is_typescript"],
            "nabi.data._text_source": [
                "source_lines",
            ],
            "nabi.data._tokens._conll": [
                "is_conll_file",
                "read_conll",
            ],
            "nabi.data._tokens._spans": [
                "SCHEMES",
                "Span",
                "scheme_of",
                "spans_of",
                "tags_of",
            ],
            "nabi.data._tokens._tagged": [
                "TaggedTokens",
                "read_tagged",
            ],
        },
    )

__all__ = [
    "DNA_LETTERS",
    "KEYS",
    "LOWEST",
    "NABIYA",
    "NOTES",
    "CaptionedImages",
    "Characters",
    "ClipFrames",
    "Clips",
    "DNASequences",
    "Frame",
    "Frequency",
    "HiddenMarkovDNA",
    "Labels",
    "LengthGroups",
    "MadeDNA",
    "MidiFolder",
    "MidiMusic",
    "NumberSeries",
    "Pairs",
    "Piece",
    "Recordings",
    "Resampler",
    "Series",
    "SeriesColumns",
    "SeriesSet",
    "Sound",
    "Span",
    "Table",
    "TaggedTokens",
    "TextFolder",
    "TimeseriesDataset",
    "TimeseriesGenerator",
    "Token",
    "Tokenizer",
    "TsFile",
    "Vocabulary",
    "cpg_islands",
    "decode_notes",
    "dna_one_hot",
    "dna_words",
    "encode_dna",
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
    "read_clip",
    "read_clips",
    "read_dna",
    "read_frames",
    "read_image",
    "read_midi",
    "read_midi_folder",
    "read_midi_frames",
    "read_pairs",
    "read_recordings",
    "read_series",
    "read_sound",
    "read_table",
    "read_tagged",
    "read_text_folder",
    "read_ts",
    "resample",
    "reverse_complement",
    "roll_of",
    "scheme_of",
    "series_from_arrays",
    "sound_files",
    "spans_of",
    "split_genes",
    "stratified_split",
    "stream_table",
    "table_columns",
    "tags_of",
    "text_to_word_sequence",
    "timeseries_dataset_from_array",
    "tokenizer_from_json",
    "windows",
    "write_midi",
    "write_midi_frames",
    "write_wav",
]
