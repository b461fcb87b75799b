// An address that is none of ours.
export default function NotFound() {
  return (
    <div className="door">
      <h1>There is no such page</h1>
      <p>
        <a href="/account">Go to your account</a>
      </p>
    </div>
  );
}
