"""Generated settings of all planned classes, their plans compared with their estimators."""
