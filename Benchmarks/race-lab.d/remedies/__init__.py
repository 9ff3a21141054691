"""The remedies, in the order in which people try them. Each file is one of them, whole: how the application reads
and writes, and what else runs."""

from remedies import cdc, cdcd, delete_after, delete_before, double_delete, lock, notify, ttl, write_through

ALL = [
    ttl.TTLOnly,
    delete_before.DeleteBeforeUpdate,
    delete_after.DeleteAfterUpdate,
    double_delete.DoubleDelete,
    write_through.WriteThrough,
    lock.LockAroundTheRead,
    notify.ListenNotify,
    cdc.CDCDeletes,
    cdcd.PlainReaders,
    cdcd.PlainReadersWithRedelete,
    cdcd.LeasedReaders,
]
BY_NAME = {remedy.name: remedy for remedy in ALL}
