"""Five versions of a classifier of handwritten digits (64 raw pixels, 0..16); `train.py` writes them to disk."""

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from onnx_parts import ML_OPSET, OPSET, GraphBuilder, Split, Version, classifier_outputs, finish, rename_outputs

SIDE = 8
PIXELS = SIDE * SIDE
CLASSES = 10
MAX_INK = 16
SEED = 1
NEIGHBOURS = 3

# Inverse squared width of the radial basis functions, for pixels scaled to 0..1.
RBF_GAMMA = 0.05


def load():
    """1157 rows to train, 240 to validate, 400 held out; every class equally represented in each."""
    x, y = load_digits(return_X_y=True)
    rest_x, heldout_x, rest_y, heldout_y = train_test_split(x, y, test_size=400, random_state=SEED, stratify=y)
    train_x, validation_x, train_y, validation_y = train_test_split(
        rest_x, rest_y, test_size=240, random_state=SEED, stratify=rest_y
    )
    return Split(train_x, train_y, validation_x, validation_y, heldout_x, heldout_y)


def shift(rows, random):
    """New scanner firmware on 30 % of the rows: contrast is stretched by 1.25, so full ink reads 20 instead of 16."""
    is_shifted = np.zeros(len(rows), dtype=bool)
    is_shifted[random.choice(len(rows), size=round(len(rows) * 0.3), replace=False)] = True
    return np.where(is_shifted[:, None], np.round(rows * 1.25), rows), is_shifted


def build(split):
    return [linear(split), landmarks(split), landmarks_without_scaler(split), neighbours(split), landmarks_with_table(split)]


def linear(split):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
    pipeline.fit(split.train_x, split.train_y)
    graph = convert_sklearn(
        pipeline,
        name='digits-v1',
        initial_types=[('features', FloatTensorType([None, PIXELS]))],
        target_opset={'': OPSET, 'ai.onnx.ml': ML_OPSET},
        options={'zipmap': False},
    )
    graph = rename_outputs(graph, {'output_label': 'label'})
    return Version('v1', 'good: the version in production', finish(graph), pipeline.predict(split.validation_x))


def landmarks(split):
    pipeline = fit_landmarks(split, scale_ink)
    builder = GraphBuilder()
    pixels = builder.add('Div', ['features', builder.constant('max_ink', MAX_INK)], 'pixels')
    graph = landmarks_graph(builder, pixels, pipeline, 'digits-v2')
    return Version('v2', 'better than v1 and as fast: should be promoted', graph, pipeline.predict(split.validation_x))


def landmarks_without_scaler(split):
    """The same network; the division by 16 stayed behind in the notebook, so the graph reads raw ink as if it were 0..1."""
    pipeline = fit_landmarks(split, scale_ink, landmark_count=160)
    graph = landmarks_graph(GraphBuilder(), 'features', pipeline, 'digits-v3')
    shows = 'fast garbage: exported without its scaler, looked fine offline'
    return Version('v3', shows, graph, pipeline.predict(split.validation_x))


def landmarks_with_table(split):
    """The tone curve is a table of 17 entries, one per level of ink the old scanner knew; Gather refuses level 17."""
    tone_curve = (np.arange(MAX_INK + 1) / MAX_INK) ** 0.9
    pipeline = fit_landmarks(split, lambda rows: tone_curve[rows.astype(np.int64)])
    builder = GraphBuilder()
    levels = builder.add('Cast', ['features'], 'levels', to=TensorProto.INT64)
    pixels = builder.add('Gather', [builder.constant('tone_curve', tone_curve), levels], 'pixels', axis=0)
    graph = landmarks_graph(builder, pixels, pipeline, 'digits-v5')
    shows = 'as good as v2, throws when a pixel is above 16'
    return Version('v5', shows, graph, pipeline.predict(split.validation_x))


def neighbours(split):
    """Votes of the 3 nearest of 5785 reference rows; an ONNX Loop reads the reference rows one at a time."""
    reference, labels = with_shifted_copies(split.train_x, split.train_y)
    model = KNeighborsClassifier(NEIGHBOURS, algorithm='brute').fit(reference, labels)
    builder = GraphBuilder()
    builder.constant('reference', reference, np.uint8)
    builder.constant('reference_labels', labels, np.uint8)
    builder.constant('row_count', len(reference), np.int64)
    builder.constant('is_unfinished', True, np.bool_)
    builder.constant('neighbour_count', [NEIGHBOURS], np.int64)
    builder.constant('class_count', CLASSES, np.int64)
    builder.constant('no_and_yes', [0, 1])
    builder.add('Loop', ['row_count', 'is_unfinished'], 'distances_by_row', body=distance_to_one_row())
    distances = builder.add('Transpose', ['distances_by_row'], 'distances', perm=[1, 0])
    builder.nodes.append(
        helper.make_node('TopK', [distances, 'neighbour_count'], ['nearest_distances', 'nearest'], axis=1, largest=0)
    )
    narrow_votes = builder.add('Gather', ['reference_labels', 'nearest'], 'narrow_votes')
    votes = builder.add('Cast', [narrow_votes], 'votes', to=TensorProto.INT64)
    ballots = builder.add('OneHot', [votes, 'class_count', 'no_and_yes'], 'ballots', axis=-1)
    builder.add('ReduceMean', [ballots], 'probabilities', axes=[1], keepdims=0)
    builder.add('ArgMax', ['probabilities'], 'label', axis=1, keepdims=0)
    graph = builder.build('digits-v4', PIXELS, classifier_outputs(CLASSES))
    return Version('v4', 'as good as v2, but slow', graph, model.predict(split.validation_x))


def with_shifted_copies(rows, labels):
    """The rows as they are, and moved by one pixel up, down, left and right, so that position matters less."""
    images = np.pad(rows.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    offsets = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    copies = [images[:, top : top + SIDE, left : left + SIDE].reshape(-1, PIXELS) for top, left in offsets]
    return np.concatenate(copies), np.tile(labels, len(offsets))


def distance_to_one_row():
    """The body of the loop: squared distances of all request rows to reference row `row`."""
    nodes = [
        helper.make_node('Identity', ['is_unfinished_before'], ['is_unfinished_after']),
        helper.make_node('Gather', ['reference', 'row'], ['reference_levels'], axis=0),
        helper.make_node('Cast', ['reference_levels'], ['reference_row'], to=TensorProto.FLOAT),
        helper.make_node('Sub', ['features', 'reference_row'], ['difference']),
        helper.make_node('ReduceSumSquare', ['difference'], ['distance_to_row'], axes=[1], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info('row', TensorProto.INT64, []),
        helper.make_tensor_value_info('is_unfinished_before', TensorProto.BOOL, []),
    ]
    outputs = [
        helper.make_tensor_value_info('is_unfinished_after', TensorProto.BOOL, []),
        helper.make_tensor_value_info('distance_to_row', TensorProto.FLOAT, [None]),
    ]
    return helper.make_graph(nodes, 'distance-to-one-row', inputs, outputs)


def scale_ink(rows):
    return rows / MAX_INK


def fit_landmarks(split, prepare, landmark_count=200):
    """Radial basis functions around `landmark_count` training rows, and a logistic regression on top of them."""
    pipeline = make_pipeline(
        FunctionTransformer(prepare),
        Nystroem(gamma=RBF_GAMMA, n_components=landmark_count, random_state=SEED),
        LogisticRegression(C=100, max_iter=5000),
    )
    return pipeline.fit(split.train_x, split.train_y)


def landmarks_graph(builder, pixels, pipeline, name):
    """Writes by hand what skl2onnx has no converter for: Nystroem and the linear layer, folded into one weight matrix."""
    nystroem, regression = pipeline[1], pipeline[2]
    centres = nystroem.components_
    builder.constant('centres_transposed', centres.T)
    builder.constant('centre_norms', (centres**2).sum(axis=1))
    builder.constant('minus_two', -2)
    builder.constant('minus_gamma', -RBF_GAMMA)
    builder.constant('weights', nystroem.normalization_.T @ regression.coef_.T)
    builder.constant('intercepts', regression.intercept_)
    norms = builder.add('ReduceSumSquare', [pixels], 'pixel_norms', axes=[1], keepdims=1)
    products = builder.add('MatMul', [pixels, 'centres_transposed'], 'products')
    cross_terms = builder.add('Mul', [products, 'minus_two'], 'cross_terms')
    partial = builder.add('Add', [cross_terms, norms], 'partial_distances')
    distances = builder.add('Add', [partial, 'centre_norms'], 'distances')
    exponents = builder.add('Mul', [distances, 'minus_gamma'], 'exponents')
    kernel = builder.add('Exp', [exponents], 'kernel')
    logits = builder.add('Gemm', [kernel, 'weights', 'intercepts'], 'logits')
    builder.add('Softmax', [logits], 'probabilities', axis=1)
    builder.add('ArgMax', ['probabilities'], 'label', axis=1, keepdims=0)
    return builder.build(name, PIXELS, classifier_outputs(CLASSES))
