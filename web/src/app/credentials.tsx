// The form of sign in and sign up: plain HTML, so that it works before and without any script.

interface Props {
  action: string;
  submit: string;
  password: "current-password" | "new-password";
}

export function Credentials({ action, submit, password }: Props) {
  const help = password === "new-password";
  return (
    <form method="post" action={action}>
      <label htmlFor="email">Email</label>
      <input id="email" name="email" type="email" autoComplete="username" required maxLength={254} />
      <label htmlFor="password">Password</label>
      <input
        id="password"
        name="password"
        type="password"
        autoComplete={password}
        required
        minLength={8}
        maxLength={72}
        aria-describedby={help ? "password-help" : undefined}
      />
      {help && (
        <p id="password-help" className="soft">
          At least 8 characters.
        </p>
      )}
      <button type="submit">{submit}</button>
    </form>
  );
}
