"""Files that scores belong to: found by name, never outside their folder."""

from pathlib import Path

import pytest

from octosr.study.page.sources import ImageRoots, hr_folder, hr_techniques, link, lr_folder, reference_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "data/Satellite/isaid/LR/low_P0033.png",
        "data/Satellite/isaid/HR/low_P0033.jpg",
        "data/ships/boat1.JPG",
        "data/ships/readme.txt",
        "hr/dan/isaid/low_P0033.png",
        "hr/dan/isaid/low_P0033.kernel.png",
        "hr/dan/isaid/low_P0033_kernel_x2.png",
        "hr/dan/isaid/sparse.kernel.png",
        "hr/dan/isaid/drone.png",
        "hr/dan/secret.png",
        "elsewhere/LR/photo.webp",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_lr_images_directly_or_below_the_domain(root: Path):
    roots = ImageRoots(data=root / "data")
    assert lr_folder(roots, "isaid").find("low_P0033") == root / "data/Satellite/isaid/LR/low_P0033.png"
    assert lr_folder(roots, "ships").files == {"boat1": "boat1.JPG"}
    assert reference_folder(roots, "isaid").find("low_P0033") == root / "data/Satellite/isaid/HR/low_P0033.jpg"
    assert not lr_folder(roots, "flowers").files


def test_datasets_elsewhere(root: Path):
    roots = ImageRoots(lr={"mine": root / "elsewhere"})
    assert lr_folder(roots, "mine").find("photo") == root / "elsewhere/LR/photo.webp"


def test_hr_images_and_their_kernels(root: Path):
    folder = hr_folder(ImageRoots(hr=root / "hr"), "dan", "isaid")
    assert folder.kernels == {"low_P0033": ("low_P0033.kernel.png", "low_P0033_kernel_x2.png")}
    assert folder.find("sparse.kernel") == root / "hr/dan/isaid/sparse.kernel.png"  # no kernel of a "sparse.png"
    assert hr_techniques(ImageRoots(hr=root / "hr"), "isaid") == ["dan"]


def test_only_image_extensions_are_cut_off_a_name(root: Path):
    folder = hr_folder(ImageRoots(hr=root / "hr"), "dan", "isaid")
    assert folder.find("drone.png") == folder.find("drone") == root / "hr/dan/isaid/drone.png"
    assert folder.find("drone.v2") is None


@pytest.mark.parametrize("name", ["../secret", "../secret.png", "/etc/passwd", "isaid/../../secret", ""])
def test_a_name_leads_nowhere_else(root: Path, name: str):
    assert hr_folder(ImageRoots(hr=root / "hr"), "dan", "isaid").find(name) is None
    assert not hr_folder(ImageRoots(hr=root / "hr"), "dan", name).files
    assert not lr_folder(ImageRoots(data=root / "data"), name).files


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("/o/hr/dan/isaid/x.png", "../hr/dan/isaid/x.png"),
        ("/o/report/javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("/o/hr/<img src=x>.png", "../hr/%3Cimg%20src%3Dx%3E.png"),
        ("/o/hr/100%#?.png", "../hr/100%25%23%3F.png"),
    ],
)
def test_links_are_relative_and_encoded(target: str, address: str):
    assert link(Path(target), Path("/o/report")) == address
