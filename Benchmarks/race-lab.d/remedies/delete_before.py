from application import key_of
from remedies.remedy import Remedy


class DeleteBeforeUpdate(Remedy):
    """Delete first, so that a crash after the commit leaves nothing behind. A reader that comes in between puts the
    old row back."""

    name = "delete-before"
    title = "Delete before update"

    def write(self, application, item):
        application.redis.delete(key_of(item))
        application.update(item)
