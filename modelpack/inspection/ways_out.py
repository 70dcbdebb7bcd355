"""The ways out of formats that modelpack does not read: what to do with such a file.

`{path}` is the file, and `{file}` its path as a shell takes it.
"""

from __future__ import annotations

SAVE = "Save the fitted estimator with joblib.dump(model, 'model.joblib')."
GIVE_MODEL = "Give the file of the model. A file of rows is given with --example."
UNPACK = "Unpack it, and give the file of the model in it."
EXPORT_ONNX = "Export the model to ONNX with its library, and give that file."
OTHER = (
    "Train the model with a library that modelpack serves, or export it to ONNX if its library can."
)
EXPORT_TORCH = (
    "torch.export.save(torch.export.export(model.eval(), (example,), dynamic_shapes=[{0: "
    "torch.export.Dim('rows')}]), 'model.pt2'), where example is a tensor "
    "of several rows. It needs PyTorch 2.8 or later. The image of a model in ONNX is smaller: "
    "torch.onnx.export(model.eval(), (example,), 'model.onnx', external_data=False)"
)
LOAD_TORCH = (
    "If you trust its author, load it in Python (a model of torch.save: model = "
    f"torch.load('{{path}}', weights_only=False)) and export it: {EXPORT_TORCH}"
)
LOAD_TORCH_WEIGHTS = (
    "Create the model of its class, load the weights (of a checkpoint, the entry with them, such "
    "as ['model_state_dict']), and export it: model.load_state_dict(torch.load('{path}', "
    f"map_location='cpu', weights_only=True)); {EXPORT_TORCH}"
)
LOAD_FASTAI = (
    "If you trust its author, load it with learn = load_learner('{path}') of fastai, and export "
    "model = learn.model. Its inputs are the tensors behind the transforms of learn.dls, so encode "
    f"categories and normalise numbers before: {EXPORT_TORCH}"
)
ROWS_ONLY = "modelpack serves rows of tables."
CONVERT_TO_ONNX = "Convert it: python -m tf2onnx.convert {} --output model.onnx"
TENSORFLOW_WEIGHTS = (
    "Load it into its model, save that with tf.saved_model.save(model, 'FOLDER'), and convert it: "
    "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
)
LOAD_TABNET = (
    "If you trust its author, load it with TabNetClassifier().load_model('{path}') or "
    "TabNetRegressor, and export its attribute network: " + EXPORT_TORCH
)
OWN_SKTIME = (
    "Load it with sktime.base.load('{path}') if you trust its author, and save an object of your "
    "own class whose predict(X) calls it: docs/formats.md has an example."
)
OWN_PROPHET = (
    "Save an object of your own class instead, whose predict(X) calls the model: docs/formats.md "
    "has an example."
)
SERVE_TRANSFORMERS = (
    f"{ROWS_ONLY} Serve its folder with a server of such models: vllm serve FOLDER for a language "
    "model, text-embeddings-router --model-id FOLDER for embeddings and classes of texts."
)
SAVE_IN_R = (
    "In R, save a model of XGBoost with xgb.save(model, 'model.ubj'), of LightGBM with "
    "lgb.save(model, 'model.txt'). No other models of R are served."
)
SAVE_JOBLIB = (
    "If you trust its author, load it where it was saved and save it with a newer joblib: "
    "joblib.dump(joblib.load('{path}'), 'model.joblib')"
)
