import Invalidation
import PostgresSource

/// The replication slot of cdcd, and what the server needs for it.
struct SlotFacts {
  struct Slot {
    var plugin: String?
    var database: String?
    /// `reserved`, `extended`, `unreserved` or `lost`.
    var walStatus: String?
  }

  /// Nil when there is no such slot.
  var slot: Slot?
  var walLevel: String
  var database: String
  var isInRecovery: Bool
  var mayReplicate: Bool
  var user: String
  /// Slots that could still be made.
  var freeSlots: Int
}

extension SlotFacts {
  static func read(_ name: String, from session: CatalogSession) throws(CatalogError) -> SlotFacts {
    let slot = try session.rows(
      "SELECT plugin, database, wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", [name]
    ).first
    let server = try session.rows(serverQuery).first ?? []
    guard server.count == 6 else {
      throw CatalogError(sqlState: nil, message: "the server did not tell its settings")
    }
    return SlotFacts(
      slot: slot.map { Slot(plugin: $0[0], database: $0[1], walStatus: $0[2]) },
      walLevel: server[0] ?? "", database: server[1] ?? "", isInRecovery: server[2] == "t",
      mayReplicate: server[3] == "t", user: server[4] ?? "", freeSlots: server[5].flatMap { Int($0) } ?? 0)
  }

  private static let serverQuery = """
    SELECT pg_catalog.current_setting('wal_level'), pg_catalog.current_database(),
      pg_catalog.pg_is_in_recovery(), rolsuper OR rolreplication, rolname,
      pg_catalog.current_setting('max_replication_slots')::int
        - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots)
    FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER
    """

  /// What keeps the slot from being used, or from being made.
  func findings(_ name: String, mode: SourceMode) -> [Finding] {
    var findings: [Finding] = []
    if isInRecovery {
      findings.append(
        Finding(
          "The server is a standby, which cannot say what readers see.", remedy: "Connect to the primary."))
    }
    if walLevel != "logical" {
      findings.append(
        Finding(
          "wal_level is \(walLevel), and logical replication needs logical.",
          remedy: "ALTER SYSTEM SET wal_level = logical; and restart the server"))
    }
    if !mayReplicate {
      findings.append(
        Finding(
          "The role \(user) may not replicate.",
          remedy: "ALTER ROLE \(CatalogSession.quoted(identifier: user)) REPLICATION;"))
    }
    if let finding = slot.flatMap({ slotFinding(name, $0, mode) }) { findings.append(finding) }
    if slot == nil, freeSlots < 1 {
      findings.append(
        Finding(
          "Every replication slot that max_replication_slots allows is taken.",
          remedy:
            "ALTER SYSTEM SET max_replication_slots = ...; and restart the server, or drop an unused slot"))
    }
    return findings
  }

  private func slotFinding(_ name: String, _ slot: Slot, _ wanted: SourceMode) -> Finding? {
    let drop = "SELECT pg_drop_replication_slot(\(CatalogSession.quoted(literal: name)));"
    if slot.walStatus == "lost" {
      return Finding(
        "The slot \(name) is lost: the server removed WAL that it still needed.",
        remedy: "\(drop) and run cdcd setup again; cdcd then flushes the keys of the rules")
    }
    guard let plugin = slot.plugin, plugin == wanted.rawValue else {
      return Finding(
        "The slot \(name) belongs to \(slot.plugin.map { "the plugin \($0)" } ?? "physical replication").",
        remedy: "Name another in source.slot, or \(drop)")
    }
    guard slot.database != database else { return nil }
    return Finding(
      "The slot \(name) belongs to the database \(slot.database ?? "").",
      remedy: "Name another in source.slot, or \(drop)")
  }
}
