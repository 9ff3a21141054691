package import Invalidation

/// What `cdcd tail` asks of the catalogue about the tables in the stream.
extension CatalogSession {
  /// What the table is a partition of, nil when there is none, and which transactions the answer has seen.
  package func lineage(
    of table: TableReference
  ) throws(CatalogError) -> (lineage: TableLineage?, snapshot: TransactionSnapshot) {
    let query = QueryConnection.lineageQuery(table, nil, connection.serverVersion)
    guard let answer = QueryConnection.readLineage(try rows(query)) else {
      throw CatalogError(sqlState: nil, message: "the server did not tell what a table is a partition of")
    }
    return answer
  }

  /// Those of the tables that are partitioned, or partitions: an update may move a row of them to another.
  package func tablesWithMovingRows(among tables: [TableName]) throws(CatalogError) -> Set<TableName> {
    let query = ServerFacts.numbersQuery(tables, where: "(c.relkind = 'p' OR c.relispartition)")
    let numbers = ServerFacts.numbers(try rows("SELECT \(query)").first?.first ?? nil)
    return Set(numbers.filter(tables.indices.contains).map { tables[$0] })
  }
}
