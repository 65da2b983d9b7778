from .converter import SOURCES as SOURCES, convert as convert
from .errors import ConversionError as ConversionError
from .file_conversion import convert_file as convert_file
from .reading import read_weights as read_weights
from .recipe import Recipe as Recipe, load_recipes as load_recipes
from .sources import Source as Source
from .weights import Weights as Weights
