"""What all sources share: fingerprints that notice every change, and subsets."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import same, zip_of

from ncapps.errors import InputError
from ncapps.features.images import Subset, open_images


class TestFingerprint:
    def test_it_changes_with_content_key_and_label(self, photos, tmp_path):
        path = zip_of(photos, tmp_path / "photos.zip")
        for data in (photos, path):
            source = open_images(data)
            prints = {
                source.fingerprint(),
                source.with_labels(list("abcabc")).fingerprint(),
                source.select([0]).fingerprint(),
            }
            assert len(prints) == 3
            assert open_images(data).fingerprint() == source.fingerprint()
        old = (open_images(photos).fingerprint(), open_images(path).fingerprint())
        file = photos / "cat" / "0.png"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
        assert open_images(photos).fingerprint() != old[0]
        assert open_images(zip_of(photos, path)).fingerprint() != old[1]

    def test_a_zip_packed_anew_is_the_same(self, photos, tmp_path):
        packed = open_images(zip_of(photos, tmp_path / "a.zip", method=zipfile.ZIP_STORED))
        assert packed.fingerprint() == open_images(zip_of(photos, tmp_path / "b.zip")).fingerprint()

    @given(st.integers(0, 5 * 4 * 4 - 1))
    def test_one_byte_of_an_array(self, position):
        images = np.zeros((5, 4, 4), np.uint8)
        old = open_images(images).fingerprint()
        images.reshape(-1)[position] = 1
        assert open_images(images).fingerprint() != old

    def test_number_and_name_are_not_the_same_label(self):
        images = np.zeros((2, 4, 4), np.uint8)
        assert open_images(images, [0, 1]).fingerprint() != open_images(images, ["0", "1"]).fingerprint()


class TestSubset:
    @given(st.permutations(range(8)), st.integers(1, 8), st.integers(1, 8))
    def test_a_subset_of_a_subset_is_a_subset(self, order, first, second):
        digits = open_images("digits")
        outer = digits.select(order[:first])
        inner = outer.select(list(range(first))[::-1][:second])
        flat = Subset(digits, order[:first][::-1][:second])
        assert same(inner, flat)
        assert inner.fingerprint() == flat.fingerprint()
        assert inner.source is digits

    def test_all_of_a_source_is_the_source(self):
        digits = open_images("digits")
        assert digits.select(range(len(digits))).fingerprint() == digits.fingerprint()

    def test_masks_and_labels(self):
        digits = open_images("digits")
        eights = digits.select(np.array(digits.labels) == 8)
        assert set(eights.labels) == {8}
        assert len(eights) == 174
        assert eights.with_labels(["x"] * 174).select([3]).labels == ("x",)

    @pytest.mark.parametrize(
        ("indices", "words"),
        [
            ([0, 0], "occurs twice"),
            ([-1], "go from 0"),
            ([1797], "go from 0 to 1796"),
            ([0.5], "list of integers"),
            ([True], "mask"),
        ],
    )
    def test_bad_positions(self, indices, words):
        with pytest.raises(InputError, match=words):
            open_images("digits").select(indices)
