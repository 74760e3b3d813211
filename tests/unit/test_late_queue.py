"""Results that are to come: each is given on once, whenever it comes."""

import concurrent.futures

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.elements import EncodedImage, ImageRef
from imgcls_beam.late_queue import LateQueue
from imgcls_beam.reading.shared_reads import LateRead, Result


class Answer(concurrent.futures.Future[Result]):
    """An answer that comes just after it was asked for."""

    def done(self) -> bool:
        was_there = super().done()
        if not was_there:
            self.set_result(EncodedImage(ImageRef("gs://bucket/a.jpg"), b"image"))
        return was_there


def _wait_for(answer: concurrent.futures.Future[Result]) -> WindowedValue:
    late = LateRead(ImageRef("gs://bucket/a.jpg"), answer)
    return WindowedValue(late, Timestamp(0), (GlobalWindow(),))


def test_an_answer_that_comes_while_answers_are_looked_for_is_not_lost() -> None:
    """It was: it was not there when those that are were taken, and was when the rest was kept."""
    queue = LateQueue(max_elements=4)
    queue.add(_wait_for(Answer()))
    given = [each.value for each in (*queue.take_due(), *queue.take_all())]
    assert [each.data for each in given] == [b"image"]
    assert list(queue.take_all()) == []
