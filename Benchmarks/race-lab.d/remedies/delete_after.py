from application import key_of
from remedies.remedy import Remedy


class DeleteAfterUpdate(Remedy):
    """Cache-aside as the textbooks have it: commit, then delete."""

    name = "delete-after"
    title = "Delete after update"

    def write(self, application, item):
        application.update(item)
        application.redis.delete(key_of(item))
