package import Invalidation

/// The statement that makes the slot.
package enum SlotCreation {
  /// `serverVersion` is 150020 for 15.20. From 17 on a standby that is set up for it keeps the slot in step, so that the
  /// slot outlives its primary.
  package static func sql(_ slot: String, _ mode: SourceMode, serverVersion: Int) -> String {
    let failover = serverVersion >= 170_000 ? ", failover => true" : ""
    return
      "SELECT pg_create_logical_replication_slot(\(CatalogSession.quoted(literal: slot)), '\(mode.rawValue)'\(failover))"
  }
}
