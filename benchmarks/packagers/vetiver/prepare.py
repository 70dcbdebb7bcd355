"""Pins model.joblib to a board, and writes the Dockerfile that vetiver makes for it."""

import joblib
import numpy as np
import pins
from vetiver import VetiverModel, prepare_docker, vetiver_pin_write

model = joblib.load("model.joblib")
board = pins.board_folder("board", allow_pickle_read=True)
rows = np.zeros((1, model.n_features_in_))
vetiver_pin_write(board, VetiverModel(model, "model", prototype_data=rows))
prepare_docker(board, "model", path=".")
