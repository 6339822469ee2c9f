"""Real pairs that nobody trained on, as cases on one grid with a brain mask; see the README beside the files.

The brain masks of whole heads come from the ICBM-152 template, laid over each head by an affine registration of
a whole-head template: good to a few millimetres, the same for every method that is compared.

``python benchmarks/real_pairs.py FOLDER OUT`` writes those of the tasks of ``napari-harmonize benchmark`` for its ``--real``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from napari_harmonize.simulate.template import _load as template_map
from napari_harmonize.simulate.template import affine
from napari_harmonize.translation import Case
from napari_harmonize.volumes import from_array, read, resample_onto, write

LETTERS = 0.97
ORIGIN = (98 - 18, 134 - 22, 72 + 2)
"""Voxel of the template's map that is 0, 0, 0 in MNI space."""


def real_pairs(root):
    """Each pair's name, case and what of its mask is measured; the masks need the template of the train extra."""
    yield from stroke(root / "pair_stroke")
    yield from template(root / "pair_template_2mm")
    yield from two_sessions(root / "pair_ms_two_sessions", root / "pair_template_2mm" / "t1_ras.nii.gz")


def stroke(folder):
    t1 = read(folder / "T1.nii.gz")
    mask = from_array((t1.data > 0).astype(np.uint8), t1.affine, name="mask")
    for contrast in ("T2", "FLAIR"):
        yield f"stroke {contrast} to T1", Case(read(folder / f"{contrast}.nii.gz"), t1, mask), mask.data > 0


def template(folder):
    """Mean CT and mean T1 of different people in MNI space: the same lattice, stored in mirrored order.

    Letters are burnt into the T1, brighter than any tissue; they and the voxels that touch them are not measured.
    """
    ct, t1 = read(folder / "ct_las.nii.gz"), read(folder / "t1_ras.nii.gz")
    t1, mask = resample_onto(t1, ct), resample_onto(brain_in_mni(), ct, order=0)
    letters = ndimage.binary_dilation(t1.data >= LETTERS * float(t1.data.max()), iterations=1)
    yield "template CT to T1", Case(ct, t1, mask), (mask.data > 0) & ~letters


def brain_in_mni():
    inside = template_map("t1").numpy() > 0.02
    place = affine()
    place[:3, 3] = [-step for step in ORIGIN]
    return from_array(inside.astype(np.uint8), place, name="mask")


def two_sessions(folder, head):
    """One person with MS: FLAIR to T1 within session 1 on the FLAIR's grid, T1 of session 2 to session 1 on that of session 1.

    The transforms that come with the data map points of what is resampled onto to points of what is resampled.
    """
    t1, flair, later = (sitk.ReadImage(str(folder / f"{name}.nii.gz"), sitk.sitkFloat32) for name in NAMES)
    to_t1, to_common, later_to_common, to_later_t1 = (transform(folder / f"{name}.txt") for name in TRANSFORMS)
    brain, onto_head = sitk_of(brain_in_mni()), laid_over(t1, head)
    mask = sitk.Resample(brain, t1, onto_head, sitk.sitkNearestNeighbor)
    on_flair = [sitk.Resample(image, flair, to_t1, how) for image, how in ((t1, sitk.sitkLinear), (mask, sitk.sitkNearestNeighbor))]
    yield "MS FLAIR to T1", *case_of(flair, *on_flair)
    # the last transform added is applied first: T1 to FLAIR of session 1, common space, FLAIR of session 2, its T1
    chain = sitk.CompositeTransform([to_later_t1, later_to_common, to_common.GetInverse(), to_t1.GetInverse()])
    yield "MS T1 session 2 to 1", *case_of(sitk.Resample(later, t1, chain, sitk.sitkLinear), t1, mask)


NAMES = ("study1_T1W", "study1_FLAIR", "study2_T1W")
TRANSFORMS = (
    "study1_T1W_intrastudy_to_FLAIR",
    "study1_FLAIR_to_common_space",
    "study2_FLAIR_to_common_space",
    "study2_T1W_intrastudy_to_FLAIR",
)


def transform(path):
    """An ITK affine that its file calls by the name of a base class."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    numbers = [float(part) for part in lines["Parameters"].split()]
    found = sitk.AffineTransform(3)
    found.SetFixedParameters([float(part) for part in lines["FixedParameters"].split()])
    found.SetParameters(numbers)
    return found


def laid_over(image, head):
    """Affine from points of ``image`` to points of the whole-head template."""
    moving = sitk.ReadImage(str(head), sitk.sitkFloat32)
    first = sitk.CenteredTransformInitializer(image, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SetInitialTransform(first, inPlace=False)
    return method.Execute(image, moving)


def sitk_of(volume):
    """A volume as an ITK image: axes turned round, RAS to LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(volume.data).T))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    step = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(step.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection((matrix[:3, :3] / step).ravel().tolist())
    return image


def case_of(source, truth, mask):
    case = Case(*(volume_of(image, name) for image, name in ((source, "source"), (truth, "truth"), (mask, "mask"))))
    return case, case.mask.data > 0


def volume_of(image, name):
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return from_array(sitk.GetArrayFromImage(image).T.copy(), np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, name=name)


def in_hounsfield(ct):
    """The template's CT, whose numbers are HU + 1000 but stretched elevenfold from -100 to 100 HU, so that water is 2000."""
    data = np.interp(ct.data, (0, 900, 3100, 6000), (-1000, -100, 100, 3000))
    return from_array(data.astype(np.float32), ct.affine, name=ct.name)


TASKS = {"stroke FLAIR to T1": "flair-to-t1", "MS FLAIR to T1": "flair-to-t1", "template CT to T1": "ct-to-t1"}


def main(root, out):
    """Write the pairs, with what is measured of their masks as masks, and their table."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("patient", "task", "source", "target", "mask"))
        for name, case, counted in real_pairs(root):
            if name not in TASKS:
                continue
            home = out / name.replace(" ", "-")
            home.mkdir(exist_ok=True)
            mask = from_array(counted.astype(np.uint8), case.source.affine, name="mask")
            source = in_hounsfield(case.source) if name.startswith("template CT") else case.source
            volumes = {"source": source, "target": resample_onto(case.truth, case.source), "mask": mask}
            files = [write(volume, home / f"{role}.nii.gz").relative_to(out).as_posix() for role, volume in volumes.items()]
            table.writerow((name, TASKS[name], *files))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
