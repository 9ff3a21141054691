package import PostgresSource

/// Something that `check`, `setup` or `run` found wrong, and what mends it.
package struct Finding: Sendable, Equatable, Encodable, CustomStringConvertible {
  package enum Severity: String, Sendable, Encodable {
    /// cdcd would miss changes, or not run at all.
    case error
    case warning
  }

  package var severity: Severity
  /// A sentence: what is wrong. Never a secret.
  package var problem: String
  /// The statement or the edit that mends it.
  package var remedy: String
  /// False for what a running cdcd finds by itself: it tells of it in readiness, and lets the other rules go on.
  package var keepsFromRunning = true
  /// What is missing is a right of the role that asks: another may do without its being mended.
  var isAboutRole = false

  private enum CodingKeys: String, CodingKey {
    case severity, problem, remedy
  }

  /// The same, for something that `run` lives with.
  func toldWhileRunning() -> Finding {
    var finding = self
    finding.keepsFromRunning = false
    return finding
  }

  /// The same, for whoever only wants to read what another role will do.
  package func toldBesideSQL() -> Finding {
    var finding = self
    if isAboutRole { finding.severity = .warning }
    return finding
  }

  package init(_ problem: String, remedy: String) { self.init(.error, problem, remedy: remedy) }

  package init(_ severity: Severity, _ problem: String, remedy: String) {
    self.severity = severity
    self.problem = problem
    self.remedy = remedy
  }

  init(_ problem: SourceProblem) { self.init(problem.problem, remedy: problem.remedy) }

  package var description: String { "\(severity.rawValue): \(problem)\n  \(remedy)" }
}

extension [Finding] {
  package var hasErrors: Bool { contains { $0.severity == .error } }
}

extension CatalogError {
  /// The error, and where a right is missing, which ones `check` and `setup` need.
  package var advice: String {
    // undefined_file
    if sqlState == "58P01" { return description + missingPluginRemedy }
    // 42501 is insufficient_privilege.
    guard sqlState == "42501" else { return description }
    return description
      + "; the role needs the ownership of the ruled tables, USAGE on their schemas and on those of"
      + " their types, CREATE on the database, and REPLICATION"
  }
}
