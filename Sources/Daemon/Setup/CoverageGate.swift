import PostgresSource

/// What `cdcd run` asks before it starts: rules that the replica identity does not cover are refused, since old
/// keys would stay for ever.
package enum CoverageGate {
  /// Empty when PostgreSQL cannot be reached or answers with an error: the daemon itself waits and retries.
  package static func findings(for configuration: Configuration) -> [Finding] {
    do {
      let session = try CatalogSession(connection: configuration.source.postgres)
      return try IdentityCoverage.findings(rules: configuration.rules, session: session)
    } catch {
      return [
        Finding(
          .warning, "The replica identities could not be checked: \(error)",
          remedy: "cdcd goes on and retries.")
      ]
    }
  }
}
