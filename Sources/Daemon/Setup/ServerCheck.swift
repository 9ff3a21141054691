import Invalidation
import PostgresSource
import RedisSink

/// What `cdcd check` finds on the servers, all of it: one that is away does not hide what another says.
package struct ServerCheck {
  package private(set) var findings: [Finding] = []
  /// False when a server could not be reached, so that not everything was looked at.
  package private(set) var isComplete = true
  private var primary: (system: String, timeline: UInt32)?

  /// Asks PostgreSQL, the read replicas and Redis. Changes nothing that outlives it.
  package init(of configuration: Configuration) {
    checkSource(configuration)
    findings += ReplicaCheck.findings(
      for: configuration.source, primary: primary, isComplete: &isComplete)
    checkRedis(configuration)
  }

  private mutating func checkSource(_ configuration: Configuration) {
    let session: CatalogSession
    do throws(SourceFailure) {
      session = try CatalogSession(connection: configuration.source.postgres)
    } catch {
      isComplete = false
      return findings.append(Finding("There is no connection to PostgreSQL.", remedy: error.message))
    }
    do throws(CatalogError) {
      primary = try session.identity()
      findings += try SourceCheck.findings(for: configuration, session: session)
    } catch {
      findings.append(Finding("PostgreSQL refused a question.", remedy: error.advice))
    }
  }

  private mutating func checkRedis(_ configuration: Configuration) {
    do throws(RedisFailure) {
      findings += try RedisCheck.findings(for: configuration, system: primary?.system ?? "unknown")
    } catch {
      isComplete = false
      findings.append(
        Finding(
          "There is no connection to Redis.",
          remedy: "\(configuration.redis.address.redacted): \(error.message)"))
    }
  }
}
