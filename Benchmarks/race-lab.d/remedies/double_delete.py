import queue
import threading
import time

from application import key_of
from remedies.remedy import Remedy


class DoubleDelete(Remedy):
    """Delete after the commit and once more a while later, for readers that put the old row back in between. The
    second delete is a delayed task of the application's process: the writer does not wait for it, and it dies with
    the process. (The often quoted variant deletes before the update instead of after it; this one is better.)"""

    name = "double-delete"
    title = "Double delete, 500 ms apart"
    delay_seconds = 0.5

    def __init__(self):
        self._tasks = None

    def write(self, application, item):
        if self._tasks is None:
            self._tasks = queue.SimpleQueue()
            self._worker = threading.Thread(target=self._delete_again, args=(application.redis,), daemon=True)
            self._worker.start()
        key = key_of(item)
        application.update(item)
        application.redis.delete(key)
        self._tasks.put((time.monotonic() + self.delay_seconds, key))

    def finish(self, application):
        if self._tasks is not None:
            self._tasks.put(None)
            self._worker.join()

    def _delete_again(self, redis):
        while (task := self._tasks.get()) is not None:
            due, key = task
            time.sleep(max(0, due - time.monotonic()))
            redis.delete(key)
