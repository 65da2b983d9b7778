from .ahead import map_ahead as map_ahead
