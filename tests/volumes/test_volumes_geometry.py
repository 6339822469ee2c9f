import numpy as np
import pydicom
import pytest
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat

from napari_harmonize.errors import GeometryError
from napari_harmonize.volumes import (
    Header,
    axis_codes,
    canonical,
    from_array,
    index,
    is_sheared,
    obliquity,
    overlap,
    read,
    resample_onto,
    same_grid,
    shear,
    spacing,
    unsheared,
    world,
)
from napari_harmonize.volumes.geometry import orientation

ORIENTATIONS = ("RAS", "LPS", "PIR", "SLA", "AIL", "IPR")
OBLIQUE = from_matvec(euler2mat(0.2, 0.1, 0.3) * [2.0, 1.0, 3.0], [-11.0, 5.0, 7.0])


@pytest.fixture
def blob():
    """A smooth volume on an oblique, anisotropic grid."""
    grid = np.mgrid[-1:1:12j, -1:1:20j, -1:1:10j]
    return from_array(np.exp(-2 * (grid**2).sum(0)).astype(np.float32), OBLIQUE, name="blob")


def test_orientation_is_that_of_nibabel():
    from nibabel.orientations import io_orientation

    random = np.random.default_rng(5)
    for _ in range(200):
        affine = np.eye(4)
        affine[:3, :3] = random.normal(size=(3, 3)) * random.choice((0.3, 1.0, 5.0), 3)
        assert np.array_equal(orientation(affine), io_orientation(affine))


def test_six_orientations_of_one_image_are_one_canonical_volume(real):
    found = [canonical(read(real / "same_image_6_orientations" / f"{codes}.nii.gz")) for codes in ORIENTATIONS]
    first = found[0][0]
    for codes, (volume, reorientation) in zip(ORIENTATIONS, found, strict=True):
        assert (reorientation.native, reorientation.canonical, axis_codes(volume.affine)) == (codes, "RAS", "RAS")
        assert np.array_equal(volume.data, first.data)
        assert np.abs(volume.affine - first.affine).max() < 1e-5


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_reordering_is_undone_to_the_last_voxel(real, codes):
    volume = read(real / "same_image_6_orientations" / f"{codes}.nii.gz")
    turned, reorientation = canonical(volume)
    assert np.array_equal(reorientation.undo(turned.data), volume.data)
    assert np.array_equal(reorientation.do(volume.data), turned.data)
    channels = np.stack([turned.data, -turned.data], -1)
    assert np.array_equal(reorientation.undo(channels)[..., 1], -volume.data)


def test_canonical_order_moves_no_voxel_and_turns_a_kept_qform_too(pattern):
    affine = np.array([[0, 0, -2.0, 9], [3.0, 0.2, 0, 4], [0.1, -1.0, 0, 8], [0, 0, 0, 1]])
    volume = from_array(pattern, affine, header=Header(qform=affine + np.eye(4, k=3)))
    turned, _ = canonical(volume)
    for ijk in ((0, 0, 0), (6, 5, 4), (2, 3, 1)):
        there = tuple(np.round(index(turned.affine, world(volume.affine, ijk))).astype(int))
        assert turned.data[there] == volume.data[ijk]
        assert np.allclose(world(turned.header.qform, there), world(volume.header.qform, ijk))


def test_codes_spacing_and_tilt_of_real_scans(real):
    stroke = read(real / "pair_stroke" / "T1.nii.gz")
    assert (axis_codes(stroke.affine), round(obliquity(stroke.affine), 1)) == ("RAS", 19.0)
    ms = read(real / "pair_ms_two_sessions" / "study1_FLAIR.nii.gz")
    assert np.allclose(spacing(ms.affine), (0.719, 0.719, 4.0), atol=1e-3)
    assert spacing(ms.affine) == ms.spacing
    assert axis_codes(read(real / "mr_t1_brain_lia.mgz").affine) == "LIA"


def test_tilted_ct_has_its_corners_where_the_headers_put_them(real):
    volume = read(real / "ct_head_dicom")
    for name, k in (("17.dcm", 0), ("22.dcm", 5), ("28.dcm", 11)):
        header = pydicom.dcmread(real / "ct_head_dicom" / name, stop_before_pixels=True)
        origin, direction = np.array(header.ImagePositionPatient, float), np.array(header.ImageOrientationPatient, float)
        for i, j in ((0, 0), (511, 0), (0, 511), (511, 511)):
            lps = origin + i * 0.4882812 * direction[:3] + j * 0.4882812 * direction[3:]
            assert np.allclose(world(volume.affine, (i, j, k)), lps * [-1, -1, 1], atol=1e-3)
    assert is_sheared(volume.affine)
    assert shear(volume.affine) == pytest.approx(18.5, abs=0.01)
    assert any("18.5 degrees" in note for note in volume.notes)


def test_a_tilted_stack_can_be_copied_onto_right_angles(real):
    tilted = read(real / "ct_head_dicom")
    straight = unsheared(tilted)
    assert not is_sheared(straight.affine)
    assert straight.spacing == pytest.approx((0.4882812, 0.4882812, 7.38 * np.cos(np.radians(18.5))), abs=1e-3)
    assert np.linalg.det(straight.affine[:3, :3]) * np.linalg.det(tilted.affine[:3, :3]) > 0
    for ijk in ((250, 250, 5), (300, 200, 8)):
        there = index(straight.affine, world(tilted.affine, ijk))
        assert (there >= -0.5).all()
        assert (there <= np.array(straight.shape) - 0.5).all()
    assert overlap(tilted, straight) > 0.99
    assert unsheared(straight) is straight


def test_unsheared_keeps_values_at_their_points():
    grid = np.mgrid[0:8, 0:9, 0:10].astype(np.float32)
    affine = from_matvec([[-1.0, 0, 0], [0, -1.0, 0.4], [0, 0, 2.0]], [3, 4, 5])
    height = world(affine, np.moveaxis(grid, 0, -1))[..., 2]
    straight = unsheared(from_array(height.astype(np.float32), affine), outside=-99.0)
    points = world(straight.affine, np.moveaxis(np.indices(straight.shape), 0, -1))
    inside = straight.data > -99
    assert inside.sum() > 300
    assert np.allclose(straight.data[inside], points[inside][:, 2], atol=1.01)
    assert straight.data[0, straight.shape[1] // 2].max() > 5


def test_world_and_index_undo_each_other():
    points = np.random.default_rng(0).normal(size=(4, 5, 3)) * 50
    assert np.allclose(world(OBLIQUE, index(OBLIQUE, points)), points)
    assert np.allclose(world(OBLIQUE, (1, 2, 3)), (OBLIQUE @ [1, 2, 3, 1])[:3])


def test_same_grid_is_judged_at_the_corners(blob):
    turned = blob.affine.copy()
    turned[:3, :3] = euler2mat(0.001) @ turned[:3, :3]
    assert same_grid(blob, blob.replace(affine=blob.affine + 1e-7))
    assert not same_grid(blob, blob.replace(affine=turned))
    assert same_grid(blob, blob.replace(affine=turned), tolerance_mm=0.1)
    assert not same_grid(blob, blob.replace(data=blob.data[1:]))


def test_overlap_is_the_share_of_the_first_box_in_millimetres():
    big = from_array(np.ones((10, 10, 10)), np.eye(4))
    small = from_array(np.ones((4, 5, 5)), from_matvec(np.diag([-1.0, 1.0, 1.0]), [2.0, 2.0, 2.0]))
    assert overlap(small, big) == pytest.approx(3 / 4)
    assert overlap(big, small) == pytest.approx(3 * 25 / 1000)
    assert overlap(big, big) == 1.0
    assert overlap(big, big.replace(affine=from_matvec(np.eye(3), [50.0, 0, 0]))) == 0.0


@pytest.mark.parametrize(("order", "tolerance"), [(1, 5e-2), (3, 1e-2)])
def test_resampling_finds_the_same_function_at_the_same_points(blob, order, tolerance):
    shifted = from_matvec(euler2mat(0.1) * [3.0, 3.0, 3.0], world(blob.affine, (3, 4, 2.5)))
    reference = from_array(np.zeros((6, 7, 8)), shifted, header=Header(qform_code=3, sform_code=4, space_unit="unknown"))
    found = resample_onto(blob, reference, order=order, outside=-1.0)
    ijk = index(blob.affine, world(shifted, np.moveaxis(np.indices(reference.shape), 0, -1)))
    truth = np.exp(-2 * ((ijk / (np.array(blob.shape) - 1) * 2 - 1) ** 2).sum(-1))
    inside = ((ijk >= 0) & (ijk <= np.array(blob.shape) - 1)).all(-1)
    assert inside.any()
    assert np.abs(found.data - truth)[inside].max() < tolerance
    beyond = ((ijk < -0.6) | (ijk > np.array(blob.shape) - 0.4)).any(-1)
    assert beyond.any()
    assert (found.data[beyond] == -1.0).all()
    assert same_grid(found, reference)
    assert (found.header.qform_code, found.header.sform_code, found.header.space_unit) == (3, 4, "unknown")
    assert found.notes[-1].startswith("Resampled")
    assert found.sha256 != blob.sha256


def test_resampling_onto_the_same_grid_changes_nothing(blob):
    found = resample_onto(blob, blob.replace(data=blob.data * 0))
    assert np.array_equal(found.data, blob.data)
    assert found.notes == blob.notes


def test_nearest_neighbour_keeps_the_type_of_a_mask(pattern):
    mask = from_array((pattern > 100).astype(np.uint8), np.eye(4))
    finer = from_array(np.zeros((14, 12, 10)), from_matvec(np.eye(3) / 2, [-0.25] * 3))
    found = resample_onto(mask, finer, order=0)
    assert found.data.dtype == np.uint8
    assert found.data.sum() == 8 * mask.data.sum()


def test_resampling_goes_through_shear_and_half_a_voxel_beyond_the_edge():
    ramp = from_array(np.indices((5, 5, 5))[0].astype(np.float64), np.eye(4))
    sheared = np.eye(4)
    sheared[0, 2] = 0.5
    found = resample_onto(ramp, from_array(np.zeros((3, 5, 5)), sheared))
    assert found.data.dtype == np.float64
    assert np.allclose(found.data[1, 0], 1 + 0.5 * np.arange(5))
    edge = resample_onto(ramp, from_array(np.zeros((3, 5, 5)), from_matvec(np.eye(3), [3.4, 0, 0])), outside=-7.0)
    assert edge.data[:, 0, 0].tolist() == pytest.approx([3.4, 4.0, -7.0])


def test_other_orders_are_refused(blob):
    with pytest.raises(GeometryError, match="0, 1 or 3"):
        resample_onto(blob, blob, order=2)


def test_two_sessions_of_one_person_are_brought_onto_one_grid(real):
    folder = real / "pair_ms_two_sessions"
    t1, flair = (read(folder / f"study1_{name}.nii.gz") for name in ("T1W", "FLAIR"))
    assert not same_grid(t1, flair)
    assert overlap(flair, t1) > 0.8
    moved = resample_onto(flair, t1)
    assert same_grid(moved, t1)
    assert np.corrcoef(moved.data[::4, ::4].ravel(), t1.data[::4, ::4].ravel())[0, 1] > 0.5
