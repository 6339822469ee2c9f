import json

import nibabel
import numpy as np
import pytest

import made_result
from made_result import volume
from napari_harmonize.errors import ExportError
from napari_harmonize.translation import Case
from napari_harmonize.translation.export import DESCRIPTION, check_folder, export, subject_label, suffix_of


@pytest.fixture
def case():
    return made_result.make_case()


@pytest.fixture
def made(case):
    return made_result.make_result(case)


@pytest.fixture
def scores(case, made):
    return made_result.make_scores(case, made)


def test_an_export_is_a_bids_derivative(case, made, scores, tmp_path):
    paths = export(
        made, case, tmp_path / "out", scores=scores, operator="MM", ticks=("It is a brain.",), review={"verdict": "accept", "rater": "MM"}
    )
    stem = f"sub-case{case.source.sha256[:8]}"
    assert [path.name for path in paths] == [f"{stem}_desc-synthetic_T1w{suffix}" for suffix in (".nii.gz", ".json", ".png")]
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "napari-harmonize"
    assert description["SourceDatasets"]
    assert (tmp_path / "out" / "descriptions.tsv").read_text().splitlines()[1].startswith("synthetic\t")


def test_the_file_says_it_is_synthetic_on_the_sources_grid(case, made, tmp_path):
    path = export(made, case, tmp_path)[0]
    written = nibabel.load(path)
    assert written.header["descrip"].item().decode().startswith("SYNTHETIC research use")
    assert len(DESCRIPTION) <= 79
    assert np.allclose(written.affine, case.source.affine)
    assert np.array_equal(written.get_fdata(dtype=np.float32), made.volume.data)


def test_the_sidecar_says_everything_once(case, made, scores, tmp_path):
    ours = {"review": {"verdict": "reject", "rater": "MM", "at": "now"}, "operator": "MM", "override": "for a talk", "ticks": ("It is.",)}
    record = json.loads(export(made, case, tmp_path, scores=scores, **ours)[1].read_text())
    block = record["NapariHarmonize"]
    assert record["Sources"] == [f"brain sha256:{case.source.sha256}"]
    assert record["SkullStripped"] is True
    assert "not for diagnosis" in record["Description"]
    assert block["facts"]["run"] == dict(made.run.facts)
    assert block["run_sha256"] == made.run.hash
    assert block["review_state"] == "reject by MM; exported with a reason: for a talk"
    assert block["confirmed"] == ["It is."]
    assert block["scores"][-1]["value"] == "inf"
    assert "now" not in json.dumps(block["facts"])


def test_the_same_bytes_twice_and_nothing_overwritten(case, made, tmp_path):
    first, second, third = (export(made, case, tmp_path) for _ in range(3))
    assert [path.name.split("_desc")[0][-5:] for path in (second[0], third[0])] == ["run-2", "run-3"]
    assert first[0].read_bytes() == second[0].read_bytes()
    hashes = [json.loads(paths[1].read_text())["NapariHarmonize"]["facts_sha256"] for paths in (first, second)]
    assert hashes[0] == hashes[1]


def test_another_dataset_is_left_alone(case, made, tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "raw", "GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(ExportError, match="fMRIPrep"):
        export(made, case, tmp_path)
    (tmp_path / "dataset_description.json").write_text("[]")
    with pytest.raises(ExportError, match="JSON object"):
        export(made, case, tmp_path)
    (tmp_path / "dataset_description.json").unlink()
    (tmp_path / "sub-01").mkdir()
    with pytest.raises(ExportError, match="already holds subjects"):
        export(made, case, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="can be written to"):
        export(made, case, tmp_path / "file")


def test_a_failed_export_leaves_nothing(case, made, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_harmonize.translation.export.sheet", full)
    with pytest.raises(OSError, match="No space"):
        export(made, case, tmp_path)
    assert list(tmp_path.rglob("sub-*_*")) == []


@pytest.mark.parametrize(
    ("label", "name", "wanted"),
    [("AB-1 2", "x", "AB12"), ("", "sub-07_T1w", "07"), ("", "DOE_JOHN", None), ("..", "sub-", None)],
)
def test_labels_hold_no_patient_text(label, name, wanted):
    source = volume(name)
    assert subject_label(label, Case(source)) == (wanted or f"case{source.sha256[:8]}")


def test_suffixes():
    assert [suffix_of(contrast) for contrast in ("T1", "FLAIR", "CT", "", "b-0 map")] == ["T1w", "FLAIR", "ct", "MRI", "b0map"]


def test_a_name_that_may_be_a_persons_is_nowhere_in_the_sidecar(tmp_path):
    person = made_result.volume("Müller Hans 1950", sha256="0123456789")
    case = Case(person, mask=person.replace(data=person.data > 0, name="Müller mask"))
    ticks = ["Müller Hans 1950 does not say what contrast it has.", "Only 3% of the mask Müller mask lies on Müller Hans 1950."]
    text = export(made_result.make_result(case), case, tmp_path, ticks=ticks)[1].read_text(encoding="utf-8")
    assert "volume-01234567 does not say" in text
    assert not any(word in text for word in ("Müller", "Hans", "1950"))


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_place_for_no_folder_is_refused_before_anything_is_made(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="file is a file"):
        check_folder(tmp_path / where)


def test_checking_a_folder_makes_nothing(tmp_path):
    check_folder(tmp_path / "new" / "below")
    assert not list(tmp_path.iterdir())
    (tmp_path / "sub-01").mkdir()
    with pytest.raises(ExportError, match="already holds subjects"):
        check_folder(tmp_path)


def test_a_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ExportError, match="not writable"):
        check_folder(tmp_path)


def test_files_of_the_folders_owner_are_left_alone(case, made, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    export(made, case, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "dataset_description.json").exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"GeneratedBy": ["x"]}'])
def test_a_description_that_says_nothing_is_refused(tmp_path, content):
    (tmp_path / "dataset_description.json").write_text(content)
    with pytest.raises(ExportError, match="is none or cannot be read"):
        check_folder(tmp_path)
