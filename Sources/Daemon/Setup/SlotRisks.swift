import Invalidation
import PostgresSource

/// What may cost cdcd its slot, or the server its disk: `setup` has no part in it.
struct SlotRisks {
  /// In MiB; -1 is no limit.
  var keptSize: Int
  /// `idle_replication_slot_timeout` in seconds; 0 is none, as before 18.
  var idleTimeout: Int
  /// `output_plugin_libraries`; nil where the server has no such setting, and takes any.
  var allowedPlugins: String?

  static func read(from session: CatalogSession) throws(CatalogError) -> SlotRisks {
    var settings: [String: String] = [:]
    for row in try session.rows(query) { settings[row[0] ?? ""] = row[1] }
    return SlotRisks(
      keptSize: settings["max_slot_wal_keep_size"].flatMap { Int($0) } ?? -1,
      idleTimeout: settings["idle_replication_slot_timeout"].flatMap { Int($0) } ?? 0,
      allowedPlugins: settings["output_plugin_libraries"])
  }

  private static let query = """
    SELECT name, setting FROM pg_catalog.pg_settings
    WHERE name IN ('max_slot_wal_keep_size', 'idle_replication_slot_timeout', 'output_plugin_libraries')
    """

  func findings(_ source: Configuration.Source, slot: SlotFacts.Slot?) -> [Finding] {
    [
      plugin(source), disk, idle,
      slot.flatMap { position($0, named: source.slot) },
      slot.flatMap { failover($0, named: source.slot) },
    ].compactMap(\.self)
  }

  private func plugin(_ source: Configuration.Source) -> Finding? {
    guard let allowedPlugins else { return nil }
    let names = allowedPlugins.split(separator: ",").map { $0.filter { !$0.isWhitespace && $0 != "\"" } }
    let wanted = source.mode.rawValue
    guard !names.contains(wanted) else { return nil }
    return Finding(
      "output_plugin_libraries does not name \(wanted), so that the server refuses to stream.",
      remedy: "ALTER SYSTEM SET output_plugin_libraries = \((names + [wanted]).joined(separator: ", "));"
        + " SELECT pg_reload_conf();")
  }

  private var disk: Finding? {
    guard keptSize < 0 else { return nil }
    return Finding(
      .warning,
      "max_slot_wal_keep_size is -1: while cdcd is away the server keeps all WAL for its slot, until the disk is full and"
        + " the server stops.",
      remedy:
        "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); with what the disk can spare: a slot"
        + " beyond it is lost, and cdcd makes a new one and flushes every rule")
  }

  private var idle: Finding? {
    guard idleTimeout > 0 else { return nil }
    return Finding(
      .warning,
      "idle_replication_slot_timeout is \(idleTimeout) s: when cdcd is down for longer its slot is lost, and every rule is"
        + " flushed.",
      remedy: "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();")
  }

  private func position(_ slot: SlotFacts.Slot, named name: String) -> Finding? {
    switch slot.walStatus {
    case "unreserved":
      Finding(
        .warning,
        "The slot \(name) is about to be lost (wal_status unreserved): it is further behind than max_slot_wal_keep_size,"
          + " and the next checkpoint removes what it needs.",
        remedy:
          "ALTER SYSTEM SET max_slot_wal_keep_size = ... to more; SELECT pg_reload_conf(); and see that cdcd runs"
      )
    case "extended":
      Finding(
        .warning,
        "The slot \(name) keeps more WAL than max_wal_size (wal_status extended), so that the disk fills.",
        remedy: slot.isActive
          ? "/readyz and /status of cdcd tell what it waits for." : "Start cdcd, or drop the slot.")
    default: nil
    }
  }

  private func failover(_ slot: SlotFacts.Slot, named name: String) -> Finding? {
    guard slot.failover == false else { return nil }
    return Finding(
      .warning,
      "Standbys keep no copy of the slot \(name): a promoted one has none, and cdcd makes it anew and flushes every rule.",
      remedy:
        "ALTER_REPLICATION_SLOT \(CatalogSession.quoted(identifier: name)) (FAILOVER true); on a connection with"
        + " replication=database while cdcd is down, and on the standbys sync_replication_slots = on")
  }
}
