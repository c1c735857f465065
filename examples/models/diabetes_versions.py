"""Five versions of a regression of disease progression (10 raw clinical features); `train.py` writes them to disk."""

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from onnx_parts import ML_OPSET, OPSET, GraphBuilder, Split, Version, finish, regressor_outputs, rename_outputs

FEATURES = 10
SEX, BMI, BLOOD_PRESSURE = 1, 2, 3
NOT_SEX = [column for column in range(FEATURES) if column != SEX]
SEED = 1

# Local regression: width of a neighbourhood in standard deviations, penalty on the slopes, and gradient descent.
# Descent converges while the step size is below 2 / (largest squared length of a standardised row plus 1), here 2 / 48;
# a quarter of that, for as many steps as it then needs, is what makes this version slow.
WIDTH = 3.0
PENALTY = 0.1
STEP_SIZE = 0.01
STEPS = 3000


def load():
    """202 rows to train, 140 to validate, 100 held out."""
    data = load_diabetes(scaled=False)
    rest_x, heldout_x, rest_y, heldout_y = train_test_split(data.data, data.target, test_size=100, random_state=SEED)
    train_x, validation_x, train_y, validation_y = train_test_split(
        rest_x, rest_y, test_size=140, random_state=SEED
    )
    return Split(train_x, train_y, validation_x, validation_y, heldout_x, heldout_y)


def shift(rows, random):
    """A new intake form on 30 % of the rows: `sex` gained the code 3, "not stated", beside 1 and 2."""
    is_shifted = np.zeros(len(rows), dtype=bool)
    is_shifted[random.choice(len(rows), size=round(len(rows) * 0.3), replace=False)] = True
    shifted = rows.copy()
    shifted[is_shifted, SEX] = 3
    return shifted, is_shifted


def build(split):
    return [two_features(split), all_features(split), network_without_scaler(split), local(split), per_sex(split)]


def two_features(split):
    columns = ColumnTransformer([('scale', StandardScaler(), [BMI, BLOOD_PRESSURE])])
    pipeline = make_pipeline(columns, LinearRegression()).fit(split.train_x, split.train_y)
    shows = 'good: the version in production, body mass index and blood pressure only'
    return Version('v1', shows, convert(pipeline, 'diabetes-v1'), pipeline.predict(split.validation_x))


def all_features(split):
    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=10)).fit(split.train_x, split.train_y)
    shows = 'better than v1 and as fast: should be promoted'
    return Version('v2', shows, convert(pipeline, 'diabetes-v2'), pipeline.predict(split.validation_x))


def network_without_scaler(split):
    """A network trained on scaled features; only its last step is exported, so it meets raw features when it serves."""
    network = MLPRegressor(hidden_layer_sizes=(32,), alpha=10, max_iter=4000, random_state=SEED)
    pipeline = make_pipeline(StandardScaler(), network).fit(split.train_x, split.train_y)
    shows = 'fast garbage: exported without its scaler, looked fine offline'
    return Version('v3', shows, convert(pipeline[-1], 'diabetes-v3'), pipeline.predict(split.validation_x))


def local(split):
    """Local ridge regression: each request row gets its own fit, by gradient descent in an ONNX Loop."""
    scaler = StandardScaler().fit(split.train_x)
    train_z = scaler.transform(split.train_x)
    design = np.column_stack([train_z, np.ones(len(train_z))])
    start = np.r_[np.zeros(FEATURES), split.train_y.mean()]
    penalty = np.r_[np.full(FEATURES, PENALTY), 0]
    offline = fit_and_predict(scaler.transform(split.validation_x), design, split.train_y, start, penalty)
    graph = local_graph(scaler, design, split.train_y, start, penalty)
    return Version('v4', 'as good as v2, but slow', graph, offline)


def per_sex(split):
    """One intercept per sex, looked up in a table of two entries; Gather refuses a third code."""
    columns = ColumnTransformer([('scale', StandardScaler(), NOT_SEX), ('sex', OneHotEncoder(), [SEX])])
    pipeline = make_pipeline(columns, Ridge(alpha=10)).fit(split.train_x, split.train_y)
    scaler, ridge = columns.named_transformers_['scale'], pipeline[-1]
    slopes = np.zeros((FEATURES, 1))
    slopes[NOT_SEX, 0] = ridge.coef_[:-2] / scaler.scale_
    intercept_by_sex = ridge.intercept_ + ridge.coef_[-2:] - slopes[NOT_SEX, 0] @ scaler.mean_

    builder = GraphBuilder()
    sex = builder.add('Gather', ['features', builder.constant('sex_column', [SEX], np.int64)], 'sex', axis=1)
    code = builder.add('Cast', [sex], 'sex_code', to=TensorProto.INT64)
    index = builder.add('Sub', [code, builder.constant('first_code', 1, np.int64)], 'sex_index')
    intercept = builder.add('Gather', [builder.constant('intercept_by_sex', intercept_by_sex), index], 'intercept')
    linear = builder.add('MatMul', ['features', builder.constant('slopes', slopes)], 'linear')
    builder.add('Add', [linear, intercept], 'prediction')
    graph = builder.build('diabetes-v5', FEATURES, regressor_outputs())
    return Version('v5', 'as good as v2, throws when sex is 3', graph, pipeline.predict(split.validation_x))


def convert(model, name):
    graph = convert_sklearn(
        model,
        name=name,
        initial_types=[('features', FloatTensorType([None, FEATURES]))],
        target_opset={'': OPSET, 'ai.onnx.ml': ML_OPSET},
    )
    return finish(rename_outputs(graph, {'variable': 'prediction'}))


def fit_and_predict(z, design, targets, start, penalty):
    """The loop of the graph, in numpy."""
    exponents = -((z[:, None, :] - design[None, :, :FEATURES]) ** 2).sum(axis=2) / (2 * WIDTH**2)
    closeness = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    closeness /= closeness.sum(axis=1, keepdims=True)
    coefficients = np.tile(start, (len(z), 1))
    for _ in range(STEPS):
        errors = (coefficients @ design.T - targets) * closeness
        coefficients = coefficients - STEP_SIZE * (errors @ design + penalty * coefficients)
    return (np.column_stack([z, np.ones(len(z))]) * coefficients).sum(axis=1)


def local_graph(scaler, design, targets, start, penalty):
    train_z = design[:, :FEATURES]
    builder = GraphBuilder()
    builder.constant('mean', scaler.mean_)
    builder.constant('scale', scaler.scale_)
    builder.constant('train_transposed', train_z.T)
    builder.constant('train_norms', (train_z**2).sum(axis=1))
    builder.constant('minus_two', -2)
    builder.constant('minus_half_inverse_width', -1 / (2 * WIDTH**2))
    builder.constant('design', design)
    builder.constant('design_transposed', design.T)
    builder.constant('targets', targets)
    builder.constant('penalty', penalty)
    builder.constant('step_size', STEP_SIZE)
    builder.constant('start', start)
    builder.constant('step_count', STEPS, np.int64)
    builder.constant('is_unfinished', True, np.bool_)
    builder.constant('one_column', [0] * FEATURES + [1])
    builder.constant('pads', [0, 0, 0, 1], np.int64)

    centred = builder.add('Sub', ['features', 'mean'], 'centred')
    z = builder.add('Div', [centred, 'scale'], 'z')
    norms = builder.add('ReduceSumSquare', [z], 'norms', axes=[1], keepdims=1)
    products = builder.add('MatMul', [z, 'train_transposed'], 'products')
    cross_terms = builder.add('Mul', [products, 'minus_two'], 'cross_terms')
    partial = builder.add('Add', [cross_terms, norms], 'partial_distances')
    distances = builder.add('Add', [partial, 'train_norms'], 'distances')
    exponents = builder.add('Mul', [distances, 'minus_half_inverse_width'], 'exponents')
    builder.add('Softmax', [exponents], 'closeness', axis=1)

    padded = builder.add('Pad', [z, 'pads'], 'z_and_zero')
    row = builder.add('Add', [padded, 'one_column'], 'z_and_one')
    zeros = builder.add('Sub', [row, row], 'zeros')
    first = builder.add('Add', [zeros, 'start'], 'first_coefficients')
    fitted = builder.add('Loop', ['step_count', 'is_unfinished', first], 'fitted', body=descent_step())
    terms = builder.add('Mul', [row, fitted], 'terms')
    axis = builder.constant('feature_axis', [1], np.int64)
    builder.add('ReduceSum', [terms, axis], 'prediction', keepdims=1)
    return builder.build('diabetes-v4', FEATURES, regressor_outputs())


def descent_step():
    """The body of the loop: one gradient step of every request row's own weighted fit."""
    nodes = [
        helper.make_node('Identity', ['is_unfinished_before'], ['is_unfinished_after']),
        helper.make_node('MatMul', ['coefficients', 'design_transposed'], ['fit']),
        helper.make_node('Sub', ['fit', 'targets'], ['error']),
        helper.make_node('Mul', ['error', 'closeness'], ['weighted_error']),
        helper.make_node('MatMul', ['weighted_error', 'design'], ['data_gradient']),
        helper.make_node('Mul', ['coefficients', 'penalty'], ['penalty_gradient']),
        helper.make_node('Add', ['data_gradient', 'penalty_gradient'], ['gradient']),
        helper.make_node('Mul', ['gradient', 'step_size'], ['change']),
        helper.make_node('Sub', ['coefficients', 'change'], ['next_coefficients']),
    ]
    shape = [None, FEATURES + 1]
    inputs = [
        helper.make_tensor_value_info('step', TensorProto.INT64, []),
        helper.make_tensor_value_info('is_unfinished_before', TensorProto.BOOL, []),
        helper.make_tensor_value_info('coefficients', TensorProto.FLOAT, shape),
    ]
    outputs = [
        helper.make_tensor_value_info('is_unfinished_after', TensorProto.BOOL, []),
        helper.make_tensor_value_info('next_coefficients', TensorProto.FLOAT, shape),
    ]
    return helper.make_graph(nodes, 'descent-step', inputs, outputs)
