"""The app.py of sample_models/iris with a route that checks flowers in millimetres."""

from flask import request

from modelpack.serving import Problem, Service, create_app

LONGEST = 200  # millimetres

service = Service.load(__file__)
app = create_app(service)


@app.post("/flowers")
def flowers():
    rows = request.get_json()["millimetres"]
    for number, row in enumerate(rows):
        if max(row) > LONGEST:
            raise Problem(
                422, f"Row {number} has {max(row)} mm, but no flower is over {LONGEST} mm."
            )
    prediction = service.predict([[value / 10 for value in row] for row in rows])
    return {"species": prediction.predictions.tolist()}
