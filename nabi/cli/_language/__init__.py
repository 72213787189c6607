"""The language of help and messages: English in the code, others in catalogues beside this file.

A catalogue is a file of gettext's form (LANGUAGE.po), which the usual editors of translations open. It is
read as it is: nothing is compiled, and only whoever needs it reads it.
"""

from nabi.cli._language._catalogue import Catalogue, read
from nabi.cli._language._chosen import chosen
from nabi.cli._language._command import translate_command

__all__ = ["Catalogue", "chosen", "read", "translate_command"]
