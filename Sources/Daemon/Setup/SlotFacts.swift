import Invalidation
import PostgresSource

/// The replication slot of cdcd, and what the server needs for it.
struct SlotFacts {
  struct Slot {
    var plugin: String?
    var database: String?
    /// `reserved`, `extended`, `unreserved` or `lost`.
    var walStatus: String?
    /// Why it is lost, where the server tells: from 17 on.
    var invalidationReason: String?
    var hasTwoPhase: Bool
    /// Somebody streams from it.
    var isActive: Bool
    /// Whether standbys keep a copy of it; nil before 17.
    var failover: Bool?
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
      """
      SELECT plugin, database, wal_status, two_phase, active, pg_catalog.to_jsonb(s) ->> 'failover',
        pg_catalog.to_jsonb(s) ->> 'invalidation_reason'
      FROM pg_catalog.pg_replication_slots AS s WHERE slot_name = $1
      """, [name]
    ).first
    let server = try session.rows(serverQuery).first ?? []
    guard server.count == 6 else {
      throw CatalogError(sqlState: nil, message: "the server did not tell its settings")
    }
    return SlotFacts(
      slot: slot.map { row in
        Slot(
          plugin: row[0], database: row[1], walStatus: row[2], invalidationReason: row[6],
          hasTwoPhase: row[3] == "t", isActive: row[4] == "t", failover: row[5].map { $0 == "true" })
      },
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
    if isInRecovery { findings.append(Finding(.standby)) }
    if walLevel != "logical" { findings.append(Finding(.walLevel(walLevel))) }
    if !mayReplicate {
      findings.append(
        Finding(
          "The role \(user) may not replicate, so that it can neither make the slot nor stream from it.",
          remedy: "ALTER ROLE \(CatalogSession.quoted(identifier: user)) REPLICATION;"))
    }
    if let finding = slot.flatMap({ slotFinding(name, $0, mode) }) { findings.append(finding) }
    if slot == nil, freeSlots < 1 {
      findings.append(
        Finding(
          "Every replication slot that max_replication_slots allows is taken, and cdcd needs one.",
          remedy:
            "ALTER SYSTEM SET max_replication_slots = ...; and restart the server, or drop an unused slot"))
    }
    return findings
  }

  private func slotFinding(_ name: String, _ slot: Slot, _ wanted: SourceMode) -> Finding? {
    let drop = "SELECT pg_drop_replication_slot(\(CatalogSession.quoted(literal: name)));"
    if slot.walStatus == "lost" {
      return Finding(
        "The slot \(name) is lost (\(slot.invalidationReason ?? "wal_status lost")): the server keeps nothing for it any"
          + " more, and cdcd would make it anew and flush every rule.",
        remedy: "\(drop) and run cdcd setup again; cdcd then flushes the keys of the rules")
    }
    return SourceProblem.unusable(
      slot: name, plugin: slot.plugin, isOfThisDatabase: slot.database == database,
      hasTwoPhase: slot.hasTwoPhase, wanted: wanted
    ).map { Finding($0) }
  }
}
