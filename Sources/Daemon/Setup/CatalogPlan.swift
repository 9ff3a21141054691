package import PostgresSource

/// What a command is going to do to the catalogue: the same for `--dry-run`, which only prints it.
package struct CatalogPlan: Sendable, Equatable {
  /// Something that is missing, or that is to go, and the SQL that does it.
  package struct Step: Sendable, Equatable {
    package var problem: String
    package var statement: String
    /// For people, where the statement is long.
    package var remedy: String?
    /// The file under `sql/` whose text the statement is: its name is told in place of some hundred lines.
    package var file: String?
    /// Without it cdcd runs, and sees less.
    package var isOptional = false
    /// The role may not run it: it is printed for a superuser.
    package var isForOthers = false
    /// It makes the slot, which `cdcd tail` has no use for.
    package var makesSlot = false

    /// What a person reads while it runs.
    fileprivate var title: String { file.map { "-- \($0)" } ?? statement }

    /// That it has not been done.
    var finding: Finding {
      Finding(isOptional ? .warning : .error, problem, remedy: remedy ?? "cdcd setup, or: \(statement)")
    }
  }

  /// In order; each runs on its own.
  package var steps: [Step] = []
  /// What keeps it from being done. Nothing runs while there is an error among them.
  package var findings: [Finding] = []

  /// Runs the steps one by one, since a slot cannot be made in a transaction that has written. `report` is told each
  /// before it runs, and those that a superuser has to run.
  package func run(on session: CatalogSession, report: (String) -> Void) throws(CatalogError) {
    for step in steps where !step.isForOthers {
      report(step.title)
      try session.execute(step.statement)
    }
    for step in steps where step.isForOthers {
      let reason = step.isOptional ? "; without it cdcd runs, and sees less" : ""
      report("-- A superuser has to run this\(reason). \(step.problem)\n" + step.statement)
    }
  }
}
