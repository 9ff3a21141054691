package import Invalidation

/// What `cdcd check` and the daemon say of the same trouble in the same words.
package struct SourceProblem: Sendable, Equatable {
  /// A sentence: what is wrong, and what comes of it.
  package var problem: String
  /// What mends it.
  package var remedy: String

  package static let standby = SourceProblem(
    problem: "The server is a standby (pg_is_in_recovery), which cannot say what readers of the primary see.",
    remedy: "Point source.postgres at the primary; with several hosts add target_session_attrs=read-write.")

  package static let differentServers = SourceProblem(
    problem:
      "The replication connection and the query connection reach different servers, or the first has just ended.",
    remedy: "Point source.postgres at the primary itself, not at a pooler or a balanced address.")

  /// In transaction mode the next question may be answered by another session.
  package static let pooler = SourceProblem(
    problem:
      "A pooler stands between cdcd and PostgreSQL: it passes no replication on, and keeps no settings.",
    remedy: "Point source.postgres at the primary itself, not at a pooler or a balanced address.")

  /// The failure is what the daemon says as well.
  static func noReplication(_ failure: SourceFailure) -> SourceProblem {
    SourceProblem(
      problem: "The replication connection fails, without which nothing is streamed.", remedy: failure.message
    )
  }

  package static func walLevel(_ level: String) -> SourceProblem {
    SourceProblem(
      problem: "wal_level is \(level), and logical replication needs logical.",
      remedy: "ALTER SYSTEM SET wal_level = logical; and restart the server")
  }

  /// A commit would wait for cdcd's confirmation, and cdcd for the commit to be visible (contract 1).
  package static let ownStandby = SourceProblem(
    problem: "synchronous_standby_names takes cdcd for a standby: every commit would wait for it, and hang.",
    remedy:
      "ALTER SYSTEM SET synchronous_standby_names = ...; with the real standbys, without * and without cdcd's"
      + " application_name, which is cdcd unless source.postgres names another; then SELECT pg_reload_conf();"
  )

  package static func leavesOutKinds(publication name: String) -> SourceProblem {
    SourceProblem(
      problem: "The publication \(name) leaves out kinds of changes: their keys would stay.",
      remedy: "ALTER PUBLICATION \(CatalogSession.quoted(identifier: name))"
        + " SET (publish = 'insert, update, delete, truncate'); first give every table of it a replica identity"
    )
  }

  /// Why a slot is not one that cdcd can stream from; `plugin` is nil for a physical one.
  package static func unusable(
    slot name: String, plugin: String?, isOfThisDatabase: Bool, hasTwoPhase: Bool, wanted: SourceMode
  ) -> SourceProblem? {
    let reason: String
    if plugin != wanted.rawValue {
      reason =
        "belongs to \(plugin.map { "the plugin \($0)" } ?? "physical replication"), not to \(wanted.rawValue)"
    } else if !isOfThisDatabase {
      reason = "belongs to another database"
    } else if hasTwoPhase {
      reason = "was made with two_phase, which sends prepared transactions before they are committed"
    } else {
      return nil
    }
    return SourceProblem(
      problem: "The slot \(name) \(reason).",
      remedy: "Name another in source.slot, or SELECT pg_drop_replication_slot("
        + CatalogSession.quoted(literal: name) + ");")
  }
}

extension SourceFailure {
  init(_ kind: Kind, _ problem: SourceProblem) {
    self.init(kind, "PostgreSQL: " + problem.problem + " " + problem.remedy)
  }

  static let standby = SourceFailure(.misconfigured, SourceProblem.standby)
}
