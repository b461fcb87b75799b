// An address that is none of ours.
export const metadata = { title: "No such page · ATS" };

export default function NotFound() {
  return (
    <div className="door">
      <h1>There is no such page</h1>
      <div className="card">
        <p>The address may be old, or misspelt.</p>
        <p className="actions">
          <a href="/today" className="button">
            Go to your day
          </a>
        </p>
      </div>
    </div>
  );
}
