"""Images from files, from Pillow, and in dictionaries."""

import numpy as np
import pytest
from PIL import Image
from shared import quick
from torch.utils.data import Dataset

from sktae import ConvolutionalAutoencoder
from sktae.datasets import ImageFolder


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Split:
    """Stands for a Dataset of Hugging Face, which is none of torch; `taken` are the rows read."""

    def __init__(self, items):
        self.items, self.taken = items, []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]

    def __getitems__(self, numbers):
        self.taken.append(len(numbers))
        return [self[int(number)] for number in numbers]


@pytest.fixture
def pictures(tmp_path):
    """Write twelve pictures of 10 x 8 pixels to a folder, and return them and the folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 10, 8), dtype=np.uint8)
    for number, image in enumerate(pixels):
        place = tmp_path / ("a" if number < 6 else "b")
        place.mkdir(exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(place / f"{number:02}.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    return pixels, tmp_path


def test_a_folder_is_read(pictures):
    """In the order of names, resized, in gray, transformed, one by one or many at a time."""
    pixels, folder = pictures
    images = ImageFolder(folder, n_workers=3)
    assert [path.name for path in images.files] == [f"{number:02}.png" for number in range(12)]
    np.testing.assert_array_equal(images.__getitems__([*range(12)]), pixels)
    assert ImageFolder(folder, size=(5, 6))[0].shape == (3, 5, 6)
    gray = ImageFolder(folder, mode="L", transform=lambda image: image[:, :4])[3]
    assert (gray.shape, gray.dtype) == ((1, 4, 8), np.uint8)
    with pytest.raises(FileNotFoundError, match="holds no images, files of"):
        ImageFolder(folder / "c")
    with pytest.raises(ValueError, match="mode of ImageFolder must be 'RGB' or 'L'"):
        ImageFolder(folder, mode="CMYK")


def test_images_are_one_whatever_they_come_in(pictures):
    """Arrays, files, images of Pillow and dictionaries give the same model."""
    pixels, folder = pictures
    expected = quick(ConvolutionalAutoencoder).fit(pixels).transform(pixels)
    opened = [Image.fromarray(image.transpose(1, 2, 0)) for image in pixels]
    labeled = [{"image": image, "label": 3} for image in opened]
    splits = [Split(labeled), Split([{"image": image} for image in pixels])]
    for X in (ImageFolder(folder), opened, Items(opened), Items(labeled), labeled, *splits):
        model = quick(ConvolutionalAutoencoder).fit(X)
        np.testing.assert_allclose(model.transform(X), expected, atol=1e-5)
    assert len(splits[0].taken) > 1  # it is read when it is wanted
    palette = [image.quantize(256) for image in opened]
    colored = quick(ConvolutionalAutoencoder).fit(palette)
    assert colored.image_shape_ == (3, 10, 8)
    two = [{"image": image, "mask": image} for image in opened]
    with pytest.raises(ValueError, match="keys 'image', 'mask', of which 2 hold arrays"):
        quick(ConvolutionalAutoencoder).fit(Items(two))
    mixed = [*opened[:5], opened[5].resize((4, 4))]
    with pytest.raises(ValueError, match="have different shapes"):
        quick(ConvolutionalAutoencoder).fit(mixed)
